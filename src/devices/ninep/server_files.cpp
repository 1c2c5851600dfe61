// Requests about what is in files and folders.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "devices/backends/io_vectors.h"
#include "devices/ninep/server.h"

namespace armvisor::devices::ninep {
namespace {

/// Flags of Tlopen and Tlcreate, which are those of Linux on most machines, this one included; what has no meaning for
/// the host's file, or is the guest's to see to, is left out.
enum OpenFlags : u32 {
  Excl = 0200,
  Trunc = 01000,
  Append = 02000,
  DataSync = 010000,
  Folder = 0200000,
  Sync = 04010000
};

int host_flags(u32 flags) {
  int out = static_cast<int>(flags & O_ACCMODE);
  if (out == O_ACCMODE) out = O_RDWR;
  if (flags & Excl) out |= O_EXCL;
  if (flags & Trunc) out |= O_TRUNC;
  if (flags & Append) out |= O_APPEND;
  if (flags & DataSync) out |= O_DSYNC;
  if ((flags & Sync) == Sync) out |= O_SYNC;
  return out;
}

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_APPEND)); }

/// Reads or writes by `call` (preadv(2), pwritev(2)) until all of `left` is done, or no more can be: `done` is how
/// much. An error is that of the first call.
template <class Call>
int transfer(Call call, const Fd& file, u64 offset, std::span<iovec> left, u64& done) {
  done = 0;
  while (!left.empty()) {
    const auto some = left.first(std::min<std::size_t>(left.size(), IOV_MAX));
    const ssize_t n = call(file.get(), some.data(), static_cast<int>(some.size()), static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done == 0) return errno;
    if (n <= 0) break;
    done += static_cast<u64>(n);
    advance(left, static_cast<std::size_t>(n));
  }
  return 0;
}

u8 qid_type(u8 entry_type) {
  return entry_type == DT_DIR ? Qid::Folder : entry_type == DT_LNK ? Qid::Symlink : Qid::File;
}

}  // namespace

int Server::do_lopen(Reader& in, Writer& out) {
  const u32 number = in.word(), flags = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (f->is_open()) return EINVAL;
  error = check_room_for_open();
  if (error) return error;
  int how = host_flags(flags) & ~O_EXCL;
  const bool is_folder = f->node->is_folder();
  if (is_folder && writes(how)) return EISDIR;
  if (!is_folder && (flags & Folder)) return ENOTDIR;
  if (is_read_only() && writes(how)) return EROFS;
  Fd file;
  error = folder_->open(*f->node, is_folder ? O_RDONLY | O_DIRECTORY : how, file);
  if (error) return error;
  error = put_qid({f->node, &file}, out);
  if (error) return error;
  out.word(0);  // as much at a time as fits into a message
  if (is_folder)
    f->folder = std::make_unique<OpenFolder>(std::move(file), entries_);
  else
    f->file = std::move(file);
  ++open_;
  return 0;
}

/// The fid is the folder's before, and the new file's behind it.
int Server::do_lcreate(Reader& in, Writer& out) {
  const u32 number = in.word();
  const std::string_view name = in.string();
  const u32 flags = in.word(), mode = in.word(), gid = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (f->is_open()) return EINVAL;
  error = check_room_for_open();
  if (error) return error;
  Fd file;
  NodeRef node;
  error = folder_->create(f->node, name, host_flags(flags), {f->uid, gid, mode}, file, node);
  if (error) return error;
  error = node->is_regular() ? put_qid({node, &file}, out) : EISDIR;
  if (error) return error;
  out.word(0);
  f->node = std::move(node);
  f->file = std::move(file);
  ++open_;
  return 0;
}

int Server::do_read(Reader& in, Writer& out) {
  const u32 number = in.word();
  const u64 offset = in.dword();
  const u32 count = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (f->xattr) return f->xattr->writes ? EINVAL : read_bytes(f->xattr->value, offset, count, out);
  if (!f->file) return f->folder ? EISDIR : EBADF;
  return read_file(f->file, offset, count, out);
}

/// Into the guest's buffers, behind the header and the count.
int Server::read_file(const Fd& file, u64 offset, u32 count, Writer& out) {
  out.word(0);
  if (offset >> 63) return EINVAL;
  rest_.assign(reply_.begin(), reply_.end());
  std::span<iovec> to = rest_;
  const std::size_t header = out.size();
  advance(to, header);
  copy_first(to, std::min<std::size_t>(count, out.room()), parts_);
  u64 done = 0;
  if (const int error = transfer(preadv, file, offset, parts_, done)) return error;
  data_out_ = bytes_read_ = done;
  out.patch(header - sizeof(u32), static_cast<u32>(data_out_));
  return 0;
}

int Server::read_bytes(const std::vector<u8>& value, u64 offset, u32 count, Writer& out) {
  const u64 from = std::min<u64>(offset, value.size());
  const u64 bytes = std::min({u64{count}, value.size() - from, u64{out.room() - std::min(out.room(), sizeof(u32))}});
  out.word(static_cast<u32>(bytes));
  out.put(value.data() + from, bytes);
  return 0;
}

int Server::do_write(Reader& in, Writer& out) {
  const u32 number = in.word();
  const u64 offset = in.dword();
  const u32 count = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (count > total_bytes(data_in_) || offset >> 63) return EINVAL;
  if (f->xattr) {
    OpenXattr& x = *f->xattr;
    if (!x.writes || offset != x.value.size() || count > x.size - x.value.size()) return EINVAL;
    x.value.resize(offset + count);
    gather(data_in_, count, x.value.data() + offset);
    out.word(count);
    return 0;
  }
  if (!f->file) return f->folder ? EISDIR : EBADF;
  copy_first(data_in_, count, rest_);
  error = transfer(pwritev, f->file, offset, rest_, bytes_written_);
  if (error) return error;
  if (folder_->options().write_out)
    (void)sync_file_range(f->file.get(), static_cast<off_t>(offset), 0,
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
  out.word(static_cast<u32>(bytes_written_));
  return 0;
}

int Server::do_readdir(Reader& in, Writer& out) {
  constexpr std::size_t k_entry = k_qid_bytes + 8 + 1 + 2;  // and the name
  constexpr std::size_t k_host_entries = 32768;             // bytes of them that are read at a time
  const u32 number = in.word();
  const u64 offset = in.dword();
  const u32 count = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (!f->folder) return f->is_open() ? ENOTDIR : EBADF;
  const std::size_t at = out.size();
  out.word(0);
  const std::size_t begin = out.size(), room = std::min<std::size_t>(count, out.room());
  entries_bytes_.resize(k_host_entries);
  const SecurityModel model = folder_->options().model;
  const u64 device = f->node->id().device;
  error = f->folder->read(offset, entries_bytes_, [&](const OpenFolder::Entry& e) {
    if (model == SecurityModel::MappedFile && is_metadata_name(e.name)) return true;
    if (out.size() - begin + k_entry + e.name.size() > room) return false;
    Qid qid;
    if (folder_->qid_of(device, e.inode, qid_type(e.type), qid)) return true;
    out.qid(qid);
    out.dword(e.offset);
    out.byte(is_mapped(model) ? u8{DT_UNKNOWN} : e.type);
    out.string(e.name);
    return true;
  });
  if (error) return error;
  out.patch(at, static_cast<u32>(out.size() - begin));
  return 0;
}

int Server::do_fsync(Reader& in) {
  const u32 number = in.word(), data_only = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  const File file = f->as_file();
  if (!file.opened || !*file.opened) return EBADF;
  return (data_only ? fdatasync(file.opened->get()) : fsync(file.opened->get())) == 0 ? 0 : errno;
}

/// Locks are between programs of the guest, which sees to them when the server has nothing against it. Programs of the
/// host do not meet them, as with QEMU.
int Server::do_lock(Reader& in, Writer& out) {
  const u32 number = in.word();
  in.byte();
  in.word();
  in.dword();
  in.dword();
  in.word();
  in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  if (!fid(number, error)) return error;
  out.byte(0);  // it is locked
  return 0;
}

int Server::do_getlock(Reader& in, Writer& out) {
  constexpr u8 k_unlocked = 2;
  const u32 number = in.word();
  in.byte();
  const u64 start = in.dword(), length = in.dword();
  const u32 process = in.word();
  const std::string_view client = in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  if (!fid(number, error)) return error;
  out.byte(k_unlocked);
  out.dword(start);
  out.dword(length);
  out.word(process);
  out.string(client);
  return 0;
}

}  // namespace armvisor::devices::ninep
