// Requests about names of files, and about what is said of them.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "devices/ninep/server.h"

namespace armvisor::devices::ninep {
namespace {

/// What Tsetattr says that it has.
enum SetAttr : u32 {
  Mode = 1,
  Uid = 2,
  Gid = 4,
  Size = 8,
  AccessTime = 0x10,
  ChangeTime = 0x20,
  StatusTime = 0x40,
  AccessTimeSet = 0x80,
  ChangeTimeSet = 0x100,
};
constexpr u64 k_basic_attributes = 0x7ff;  // of Tgetattr: those of stat(2)

struct timespec time_of(u32 valid, u32 any, u32 set, u64 seconds, u64 nanoseconds) {
  if (!(valid & any)) return {0, UTIME_OMIT};
  if (!(valid & set)) return {0, UTIME_NOW};
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

}  // namespace

int Server::do_getattr(Reader& in, Writer& out) {
  const u32 number = in.word();
  in.dword();  // what is wanted: all that there is
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  struct stat s {};
  Qid qid;
  error = folder_->stat(f->as_file(), s);
  if (!error) error = folder_->qid(s, qid);
  if (error) return error;
  out.dword(k_basic_attributes);
  out.qid(qid);
  out.word(s.st_mode);
  out.word(s.st_uid);
  out.word(s.st_gid);
  for (const u64 value : {u64{s.st_nlink}, u64{s.st_rdev}, static_cast<u64>(s.st_size), static_cast<u64>(s.st_blksize),
                          static_cast<u64>(s.st_blocks)})
    out.dword(value);
  for (const struct timespec& t : {s.st_atim, s.st_mtim, s.st_ctim, timespec{}}) {
    out.dword(static_cast<u64>(t.tv_sec));
    out.dword(static_cast<u64>(t.tv_nsec));
  }
  out.dword(0);  // generation
  out.dword(0);  // version of the data
  return 0;
}

int Server::do_setattr(Reader& in) {
  const u32 number = in.word(), valid = in.word(), mode = in.word(), uid = in.word(), gid = in.word();
  const u64 size = in.dword();
  const u64 access = in.dword(), access_ns = in.dword(), change = in.dword(), change_ns = in.dword();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  const File file = f->as_file();
  if (valid & Mode) error = folder_->set_mode(file, mode);
  if (!error && (valid & (AccessTime | ChangeTime))) {
    const struct timespec times[2] = {time_of(valid, AccessTime, AccessTimeSet, access, access_ns),
                                      time_of(valid, ChangeTime, ChangeTimeSet, change, change_ns)};
    error = folder_->set_times(file, times);
  }
  // Without anything else, the time of the last change of status is set by a change of owner that is none.
  const bool status_only = (valid & StatusTime) && !(valid & ~u32{StatusTime});
  if (!error && ((valid & (Uid | Gid)) || status_only))
    error = folder_->set_owner(file, valid & Uid ? std::optional(uid) : std::nullopt,
                               valid & Gid ? std::optional(gid) : std::nullopt);
  if (!error && (valid & Size)) error = folder_->set_size(file, size);
  return error;
}

int Server::do_statfs(Reader& in, Writer& out) {
  const u32 number = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  struct statfs s {};
  error = folder_->stat_file_system(*f->node, s);
  if (error) return error;
  out.word(static_cast<u32>(s.f_type));
  out.word(static_cast<u32>(s.f_bsize));
  for (const u64 value : {s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree}) out.dword(value);
  out.dword(u64{static_cast<u32>(s.f_fsid.__val[0])} | u64{static_cast<u32>(s.f_fsid.__val[1])} << 32);
  out.word(static_cast<u32>(std::min<u64>(static_cast<u64>(s.f_namelen), k_longest_name)));
  return 0;
}

int Server::do_symlink(Reader& in, Writer& out) {
  const u32 number = in.word();
  const std::string_view name = in.string(), target = in.string();
  const u32 gid = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  NodeRef node;
  error = folder_->make_symlink(f->node, name, target, {f->uid, gid, 0777}, node);
  return error ? error : put_qid({node}, out);
}

int Server::do_mknod(Reader& in, Writer& out) {
  const u32 number = in.word();
  const std::string_view name = in.string();
  const u32 mode = in.word(), major = in.word(), minor = in.word(), gid = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  NodeRef node;
  error = folder_->make_special(f->node, name, {f->uid, gid, mode}, major, minor, node);
  return error ? error : put_qid({node}, out);
}

int Server::do_mkdir(Reader& in, Writer& out) {
  const u32 number = in.word();
  const std::string_view name = in.string();
  const u32 mode = in.word(), gid = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  NodeRef node;
  error = folder_->make_folder(f->node, name, {f->uid, gid, mode}, node);
  return error ? error : put_qid({node}, out);
}

int Server::do_link(Reader& in) {
  const u32 folder = in.word(), number = in.word();
  const std::string_view name = in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const to = fid(folder, error);
  Fid* const f = fid(number, error);
  return to && f ? folder_->link(f->node, to->node, name) : error;
}

int Server::do_readlink(Reader& in, Writer& out) {
  const u32 number = in.word();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  std::string target;
  error = folder_->read_link(*f->node, target);
  if (!error) out.string(target);
  return error;
}

int Server::do_rename(Reader& in) {
  const u32 number = in.word(), folder = in.word();
  const std::string_view name = in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  Fid* const to = fid(folder, error);
  if (!f || !to) return error;
  if (const int unnamed = folder_->check_name(f->node)) return unnamed;
  return folder_->rename(folder_->parent(f->node), std::string(f->node->name()), to->node, name);
}

int Server::do_renameat(Reader& in) {
  const u32 folder = in.word();
  const std::string_view name = in.string();
  const u32 new_folder = in.word();
  const std::string_view new_name = in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const from = fid(folder, error);
  Fid* const to = fid(new_folder, error);
  return from && to ? folder_->rename(from->node, name, to->node, new_name) : error;
}

int Server::do_unlinkat(Reader& in) {
  const u32 number = in.word();
  const std::string_view name = in.string();
  const u32 flags = in.word();
  if (!in.ok() || (flags & ~u32{AT_REMOVEDIR})) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  return f ? folder_->unlink(f->node, name, flags != 0) : error;
}

int Server::do_xattrwalk(Reader& in, Writer& out) {
  const u32 number = in.word(), new_number = in.word();
  const std::string_view name = in.string();
  if (!in.ok()) return EINVAL;
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  error = check_room_for_open(true);
  if (error) return error;
  auto x = std::make_unique<OpenXattr>();
  error =
      name.empty() ? folder_->list_xattrs(f->as_file(), x->value) : folder_->read_xattr(f->as_file(), name, x->value);
  if (error) return error;
  const NodeRef node = f->node;
  Fid* const made = fids_.add(new_number, error);
  if (!made) return error;
  x->value.shrink_to_fit();
  out.dword(x->value.size());
  made->node = node;
  made->xattr = std::move(x);
  ++open_;
  ++xattrs_;
  return 0;
}

/// The fid is that of the attribute from now on: it is written, and takes effect when the fid is clunked.
int Server::do_xattrcreate(Reader& in) {
  const u32 number = in.word();
  const std::string_view name = in.string();
  const u64 size = in.dword();
  const u32 flags = in.word();
  if (!in.ok() || flags > 2) return EINVAL;  // XATTR_CREATE or XATTR_REPLACE
  int error = 0;
  Fid* const f = fid(number, error);
  if (!f) return error;
  if (f->is_open()) return EINVAL;
  if (size > k_longest_xattr) return E2BIG;
  error = check_room_for_open(true);
  if (error) return error;
  f->xattr = std::make_unique<OpenXattr>();
  f->xattr->name = name;
  f->xattr->writes = true;
  f->xattr->flags = flags;
  f->xattr->size = size;
  ++open_;
  ++xattrs_;
  return 0;
}

}  // namespace armvisor::devices::ninep
