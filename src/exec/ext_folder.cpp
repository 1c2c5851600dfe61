#include "exec/ext_folder.h"

#include <ext2fs/ext2fs.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/write_all.h"

namespace armvisor::exec {
namespace {

constexpr u64 k_largest_file = u64{256} << 20;
constexpr u32 k_most_records = 1u << 20;      ///< names and empty places in folders, on the way to one name
constexpr std::size_t k_most_listed = 65536;  ///< names in one folder
constexpr int k_most_links = 40;              ///< symbolic ones on the way to one name (path_resolution(7))
constexpr std::size_t k_longest_path = 4096;

struct Closer {
  void operator()(struct_ext2_filsys* fs) const { ext2fs_free(fs); }
};
using FileSystem = std::unique_ptr<struct_ext2_filsys, Closer>;

int error_number(errcode_t error) { return error > 0 && error < 4096 ? static_cast<int>(error) : EIO; }

/// Calls f with each name in a folder and its inode, until it returns false. `left`: records that it may look at, of
/// which blocks that are named again and again have any number. As errno.
template <class F>
int for_each_name(ext2_filsys fs, ext2_ino_t folder, u32& left, F f) {
  struct State {
    F& f;
    u32& left;
  } state{f, left};
  const auto take = [](ext2_ino_t, int, struct ext2_dir_entry* entry, int, int, char*, void* user) {
    auto& s = *static_cast<State*>(user);
    if (s.left == 0) return DIRENT_ABORT;
    --s.left;
    const std::string_view name(entry->name, static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
    return entry->inode == 0 || s.f(name, entry->inode) ? 0 : DIRENT_ABORT;
  };
  const errcode_t error = ext2fs_dir_iterate2(fs, folder, DIRENT_FLAG_INCLUDE_EMPTY, nullptr, take, &state);
  if (error == EXT2_ET_NO_DIRECTORY) return ENOTDIR;
  if (error) return error_number(error);
  return left ? 0 : EFBIG;
}

/// The way to one name. Each symbolic link, each part and each record of a folder on it counts, so that it has an end.
class Walk {
 public:
  Walk(ext2_filsys fs, ext2_ino_t from) : fs_(fs), at_(from) {}

  /// As errno.
  int go(const std::string& path, ext2_ino_t& to) {
    if (const int error = put_before(path)) return error;
    while (!rest_.empty()) {
      const std::string part = rest_.substr(0, rest_.find('/'));
      rest_.erase(0, std::min(rest_.size(), part.size() + 1));
      if (part.empty() || part == ".") continue;
      if (const int error = step(part)) return error;
    }
    to = at_;
    return 0;
  }

 private:
  int put_before(const std::string& path) {
    if (path.size() >= k_longest_path || rest_.size() >= k_longest_path) return ENAMETOOLONG;
    if (path.starts_with('/')) at_ = EXT2_ROOT_INO;
    rest_ = path + "/" + rest_;
    return 0;
  }

  int step(const std::string& part) {
    ext2_ino_t next = 0;
    const int error = for_each_name(fs_, at_, left_, [&](std::string_view name, ext2_ino_t inode) {
      if (name == part) next = inode;
      return next == 0;
    });
    if (error) return error;
    if (next == 0) return ENOENT;
    ext2_inode inode{};
    if (const errcode_t failed = ext2fs_read_inode(fs_, next, &inode)) return error_number(failed);
    if (LINUX_S_ISLNK(inode.i_mode)) return follow(next, inode);
    at_ = next;
    return 0;
  }

  int follow(ext2_ino_t number, ext2_inode& inode) {
    if (++links_ > k_most_links) return ELOOP;
    const u64 size = EXT2_I_SIZE(&inode);
    if (size == 0 || size >= k_longest_path) return EINVAL;
    std::string text(size, '\0');
    if (ext2fs_is_fast_symlink(&inode)) {
      if (size > sizeof inode.i_block) return EINVAL;
      std::memcpy(text.data(), inode.i_block, size);
      return put_before(text);
    }
    ext2_file_t file = nullptr;
    if (const errcode_t error = ext2fs_file_open(fs_, number, 0, &file)) return error_number(error);
    unsigned got = 0;
    const errcode_t error = ext2fs_file_read(file, text.data(), static_cast<unsigned>(size), &got);
    ext2fs_file_close(file);
    if (error) return error_number(error);
    return got == size ? put_before(text) : EIO;
  }

  ext2_filsys fs_;
  ext2_ino_t at_;
  std::string rest_{};
  int links_ = 0;
  u32 left_ = k_most_records;
};

class ExtFiles final : public FolderFiles {
 public:
  ExtFiles(std::shared_ptr<struct_ext2_filsys> fs, ext2_ino_t folder) : fs_(std::move(fs)), folder_(folder) {}

  std::shared_ptr<const FolderFiles> enter(const std::string& path) const override {
    const ext2_ino_t inode = find(path);
    if (!inode) return nullptr;
    if (ext2fs_check_directory(fs_.get(), inode) == 0) return std::make_shared<ExtFiles>(fs_, inode);
    errno = ENOTDIR;
    return nullptr;
  }
  bool has(const std::string& path) const override { return find(path) != 0; }

  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names;
    const ext2_ino_t inode = find(path);
    if (!inode) return names;
    u32 left = k_most_records;
    (void)for_each_name(fs_.get(), inode, left, [&names](std::string_view name, ext2_ino_t) {
      if (!name.starts_with('.')) names.emplace_back(name);
      return names.size() < k_most_listed;
    });
    return names;
  }

  Fd open_file(const std::string& path) const override {
    const ext2_ino_t inode = find(path);
    if (!inode) return {};
    Fd copy(memfd_create("armvisor-file", MFD_CLOEXEC));
    const int error = copy ? copy_file(inode, copy.get()) : errno;
    if (error == 0 && lseek(copy.get(), 0, SEEK_SET) == 0) return copy;
    errno = error;
    return {};
  }

 private:
  /// 0: errno says why it is not there.
  ext2_ino_t find(const std::string& path) const {
    ext2_ino_t inode = 0;
    errno = Walk(fs_.get(), folder_).go(path, inode);
    return errno ? 0 : inode;
  }

  int copy_file(ext2_ino_t inode, int to) const {
    ext2_inode attributes{};
    if (const errcode_t error = ext2fs_read_inode(fs_.get(), inode, &attributes)) return error_number(error);
    if (!LINUX_S_ISREG(attributes.i_mode)) return EINVAL;
    if (EXT2_I_SIZE(&attributes) > k_largest_file) return EFBIG;
    ext2_file_t file = nullptr;
    if (const errcode_t error = ext2fs_file_open(fs_.get(), inode, 0, &file)) return error_number(error);
    std::vector<u8> piece(1u << 20);
    int result = 0;
    for (;;) {
      unsigned got = 0;
      if (const errcode_t error = ext2fs_file_read(file, piece.data(), static_cast<unsigned>(piece.size()), &got))
        result = error_number(error);
      if (result || got == 0) break;
      if (!write_all(to, std::span(piece).first(got))) result = errno;
    }
    ext2fs_file_close(file);
    return result;
  }

  std::shared_ptr<struct_ext2_filsys> fs_;
  ext2_ino_t folder_;
};

}  // namespace

namespace {

// --- libext2fs's way to a disk

/// What a channel reads, which libext2fs knows by a name only: the one that is opened at the moment, by this thread.
struct Source {
  std::shared_ptr<devices::DiskBackend> disk;
  u64 offset = 0;
};
thread_local const Source* opened = nullptr;

const Source& source_of(io_channel channel) { return *static_cast<const Source*>(channel->private_data); }

errcode_t open_channel(const char* name, int, io_channel* to);

errcode_t close_channel(io_channel channel) {
  if (--channel->refcount > 0) return 0;
  delete &source_of(channel);
  ext2fs_free_mem(&channel->name);
  ext2fs_free_mem(&channel);
  return 0;
}

errcode_t set_block_size(io_channel channel, int size) {
  channel->block_size = size;
  return 0;
}

/// `count`: blocks, or bytes if it is negative.
errcode_t read_blocks64(io_channel channel, unsigned long long block, int count, void* to) {
  const Source& source = source_of(channel);
  const u64 size =
      count < 0 ? u64{0} - static_cast<s64>(count) : static_cast<u64>(count) * static_cast<u64>(channel->block_size);
  const u64 most = source.disk->size() - source.offset;
  if (block > most / static_cast<u64>(channel->block_size) ||
      size > most - block * static_cast<u64>(channel->block_size))
    return EXT2_ET_SHORT_READ;
  iovec vector = {to, size};
  return source.disk->read({&vector, 1}, source.offset + block * static_cast<u64>(channel->block_size));
}
errcode_t read_blocks(io_channel channel, unsigned long block, int count, void* to) {
  return read_blocks64(channel, block, count, to);
}
errcode_t write_nothing(io_channel, unsigned long, int, const void*) { return EXT2_ET_RO_FILSYS; }
errcode_t write_nothing64(io_channel, unsigned long long, int, const void*) { return EXT2_ET_RO_FILSYS; }
errcode_t flush_nothing(io_channel) { return 0; }

struct struct_io_manager manager() {
  struct struct_io_manager m {};
  m.magic = EXT2_ET_MAGIC_IO_MANAGER;
  m.name = "armvisor disk";
  m.open = open_channel;
  m.close = close_channel;
  m.set_blksize = set_block_size;
  m.read_blk = read_blocks;
  m.write_blk = write_nothing;
  m.flush = flush_nothing;
  m.read_blk64 = read_blocks64;
  m.write_blk64 = write_nothing64;
  return m;
}
io_manager disk_manager() {
  static struct struct_io_manager m = manager();
  return &m;
}

errcode_t open_channel(const char* name, int, io_channel* to) {
  io_channel channel = nullptr;
  if (const errcode_t error = ext2fs_get_memzero(sizeof *channel, &channel)) return error;
  channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  channel->manager = disk_manager();
  channel->block_size = 1024;
  channel->refcount = 1;
  if (const errcode_t error = ext2fs_get_mem(strlen(name) + 1, &channel->name)) {
    ext2fs_free_mem(&channel);
    return error;
  }
  std::strcpy(channel->name, name);
  channel->private_data = new Source(*opened);
  *to = channel;
  return 0;
}

Result<Folder> open_file_system(const char* name, io_manager io, const std::string& path) {
  ext2_filsys fs = nullptr;
  if (const errcode_t error = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, io, &fs))
    return Error{ErrorKind::BadInput, path + ": expected a file system that can be read, found that it cannot: " +
                                          error_message(error) + "; check it"};
  return Folder(std::make_shared<ExtFiles>(std::shared_ptr<struct_ext2_filsys>(FileSystem(fs)), EXT2_ROOT_INO), path);
}

}  // namespace

Result<Folder> open_ext_folder(int file, const std::string& path) {
  return open_file_system(("/proc/self/fd/" + std::to_string(file)).c_str(), unix_io_manager, path);
}

Result<Folder> open_ext_folder(std::shared_ptr<devices::DiskBackend> disk, u64 offset, const std::string& path) {
  const Source source{std::move(disk), offset};
  opened = &source;
  auto folder = open_file_system("disk", disk_manager(), path);
  opened = nullptr;
  return folder;
}

}  // namespace armvisor::exec
