#include "devices/ninep/server.h"

#include <algorithm>
#include <cerrno>

#include "devices/backends/io_vectors.h"

namespace armvisor::devices::ninep {
namespace {

/// The longest message but those with data: Twalk, with 16 names.
constexpr std::size_t k_longest_request = 16384;
constexpr std::size_t k_write_header = k_header_bytes + 16;
constexpr std::string_view k_version = "9P2000.L";

/// What changes files, and is EROFS if they may not be.
bool changes(Message type) {
  switch (type) {
    case Message::Tlcreate:
    case Message::Tsymlink:
    case Message::Tmknod:
    case Message::Trename:
    case Message::Tsetattr:
    case Message::Txattrcreate:
    case Message::Tlink:
    case Message::Tmkdir:
    case Message::Trenameat:
    case Message::Tunlinkat:
    case Message::Twrite:
    case Message::Tremove: return true;
    default: return false;
  }
}

}  // namespace

Server::Server(std::shared_ptr<SharedFolder> folder)
    : limits_(folder->limits()), folder_(std::move(folder)), entries_{limits_.entries}, fids_(limits_.fids) {}

void Server::reset() {
  fids_.clear();
  open_ = xattrs_ = 0;
  message_ = 0;
}

std::optional<u32> Server::answer(std::span<iovec> request, std::span<iovec> reply) {
  const u64 there = total_bytes(request);
  u8 header[k_header_bytes];
  if (there < sizeof header) return std::nullopt;
  gather(request, sizeof header, header);
  Reader head(header);
  const u32 size = head.word();
  const Message type = static_cast<Message>(head.byte());
  const u16 tag = head.half();
  const u32 most = message_ ? message_ : limits_.message;
  if (size < k_header_bytes || size > there || size > most) return std::nullopt;

  failed_ = false;
  bytes_read_ = bytes_written_ = data_out_ = 0;
  const std::size_t own = type == Message::Twrite ? std::min<std::size_t>(size, k_write_header) : size;
  request_bytes_.resize(std::min(own, k_longest_request));
  gather(request, request_bytes_.size(), request_bytes_.data());
  copy_first(request, size, parts_);
  data_in_ = parts_;
  advance(data_in_, request_bytes_.size());
  reply_ = reply;

  const std::size_t room = std::min<u64>(most, total_bytes(reply));
  if (room < k_header_bytes + sizeof(u32)) return std::nullopt;
  Writer out(reply_bytes_, room);
  out.word(0);
  out.byte(static_cast<u8>(type) + 1);
  out.half(tag);
  Reader in(std::span<const u8>(request_bytes_).subspan(k_header_bytes));
  int error = own > k_longest_request ? EMSGSIZE : dispatch(type, in, out);
  if (!error && !out.ok()) error = EMSGSIZE;
  if (error) {
    failed_ = true;
    data_out_ = 0;
    out.cut(0);
    out.word(0);
    out.byte(static_cast<u8>(Message::Rlerror));
    out.half(tag);
    out.word(static_cast<u32>(error));
  }
  const u32 bytes = static_cast<u32>(out.size() + data_out_);
  out.patch<u32>(0, bytes);
  scatter(reply_bytes_.data(), reply_bytes_.size(), reply);
  folder_->tree().trim();
  return bytes;
}

int Server::dispatch(Message type, Reader& in, Writer& out) {
  if (!message_ && type != Message::Tversion) return EPROTO;
  if (is_read_only() && changes(type)) {
    if (type == Message::Tremove) (void)clunk(in.word());  // which it does whatever comes of it
    return EROFS;
  }
  switch (type) {
    case Message::Tversion: return do_version(in, out);
    case Message::Tattach: return do_attach(in, out);
    case Message::Twalk: return do_walk(in, out);
    case Message::Tclunk: return do_clunk(in);
    case Message::Tremove: return do_remove(in);
    case Message::Tlopen: return do_lopen(in, out);
    case Message::Tlcreate: return do_lcreate(in, out);
    case Message::Tread: return do_read(in, out);
    case Message::Twrite: return do_write(in, out);
    case Message::Treaddir: return do_readdir(in, out);
    case Message::Tgetattr: return do_getattr(in, out);
    case Message::Tsetattr: return do_setattr(in);
    case Message::Tstatfs: return do_statfs(in, out);
    case Message::Tfsync: return do_fsync(in);
    case Message::Tsymlink: return do_symlink(in, out);
    case Message::Tmknod: return do_mknod(in, out);
    case Message::Tmkdir: return do_mkdir(in, out);
    case Message::Tlink: return do_link(in);
    case Message::Treadlink: return do_readlink(in, out);
    case Message::Trename: return do_rename(in);
    case Message::Trenameat: return do_renameat(in);
    case Message::Tunlinkat: return do_unlinkat(in);
    case Message::Txattrwalk: return do_xattrwalk(in, out);
    case Message::Txattrcreate: return do_xattrcreate(in);
    case Message::Tlock: return do_lock(in, out);
    case Message::Tgetlock: return do_getlock(in, out);
    case Message::Tflush: return 0;
    case Message::Rlerror: break;
  }
  return EOPNOTSUPP;
}

// --- sessions and fids

int Server::do_version(Reader& in, Writer& out) {
  const u32 size = in.word();
  const std::string_view version = in.string();
  if (!in.ok()) return EINVAL;
  reset();
  if (size < k_smallest_message) return EMSGSIZE;
  const u32 agreed = std::min(size, limits_.message);
  out.word(agreed);
  if (version != k_version) {
    out.string("unknown");
    return 0;
  }
  message_ = agreed;
  out.string(k_version);
  return 0;
}

Fid* Server::fid(u32 number, int& error) {
  Fid* const found = fids_.find(number);
  if (!found) error = EBADF;
  return found;
}

int Server::put_qid(const File& file, Writer& out) {
  struct stat s {};
  Qid qid;
  int error = folder_->stat(file, s);
  if (!error) error = folder_->qid(s, qid);
  if (!error) out.qid(qid);
  return error;
}

int Server::do_attach(Reader& in, Writer& out) {
  const u32 number = in.word();
  in.word();  // of an authentication, of which there is none
  in.string();
  in.string();  // every tree is the shared folder
  const u32 uid = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fids_.add(number, error);
  if (!f) return error;
  f->node = folder_->root();
  f->uid = uid;
  error = put_qid({f->node}, out);
  if (error) fids_.remove(number);
  return error;
}

int Server::do_walk(Reader& in, Writer& out) {
  constexpr u32 k_most_names = 16;
  const u32 number = in.word(), new_number = in.word();
  const u16 count = in.half();
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (count > k_most_names || f->xattr) return EINVAL;
  if (number == new_number && f->is_open()) return EINVAL;
  const std::size_t at = out.size();
  out.half(0);
  NodeRef node = f->node;
  u16 walked = 0;
  for (; walked < count; ++walked) {
    const std::string_view name = in.string();
    if (!in.ok()) return EINVAL;
    NodeRef next;
    error = folder_->walk(node, name, next);
    const std::size_t before = out.size();
    if (!error) error = put_qid({next}, out);
    if (error) {
      out.cut(before);
      break;
    }
    node = std::move(next);
  }
  if (!in.ok()) return EINVAL;
  if (error && walked == 0) return error;
  out.patch(at, walked);
  if (walked < count) return 0;
  if (number == new_number) {
    f->node = std::move(node);
    return 0;
  }
  const u32 uid = f->uid;
  Fid* const made = fids_.add(new_number, error);
  if (!made) return error;
  made->node = std::move(node);
  made->uid = uid;
  return 0;
}

/// The fid is gone, whatever comes of what it had to do last.
int Server::clunk(u32 number) {
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (f->xattr && f->xattr->writes) {
    OpenXattr& x = *f->xattr;
    const File file{f->node};
    if (x.value.size() != x.size)
      error = EINVAL;
    else if (x.size == 0)  // as QEMU takes it, and with the flag XATTR_REPLACE as Linux means it
      error = folder_->remove_xattr(file, x.name);
    else
      error = folder_->write_xattr(file, x.name, x.value, static_cast<int>(x.flags));
  }
  if (f->is_open()) --open_;
  if (f->xattr) --xattrs_;
  fids_.remove(number);
  return error;
}

int Server::do_clunk(Reader& in) {
  const u32 number = in.word();
  return in.ok() ? clunk(number) : EINVAL;
}

int Server::do_remove(Reader& in) {
  const u32 number = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  const NodeRef node = f->node;
  if (f->xattr) f->xattr->writes = false;
  (void)clunk(number);
  if (const int unnamed = folder_->check_name(node)) return unnamed;
  return folder_->unlink(folder_->parent(node), node->name(), node->is_folder());
}

int Server::check_room_for_open(bool xattr) const {
  return open_ >= limits_.open || (xattr && xattrs_ >= limits_.xattrs) ? EMFILE : 0;
}

}  // namespace armvisor::devices::ninep
