#include "exec/ext_folder.h"

#include <ext2fs/ext2fs.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/write_all.h"

namespace armvisor::exec {
namespace {

constexpr u64 k_largest_file = u64{256} << 20;

struct Closer {
  void operator()(struct_ext2_filsys* fs) const { ext2fs_free(fs); }
};
using FileSystem = std::unique_ptr<struct_ext2_filsys, Closer>;

int error_number(errcode_t error) { return error > 0 && error < 4096 ? static_cast<int>(error) : EIO; }

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
    const auto add = [](struct ext2_dir_entry* entry, int, int, char*, void* to) {
      if (entry->name[0] != '.')
        static_cast<std::vector<std::string>*>(to)->emplace_back(
            entry->name, static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
      return 0;
    };
    ext2fs_dir_iterate(fs_.get(), inode, 0, nullptr, add, &names);
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

  std::string identity(const std::string& path) const override {
    const ext2_ino_t inode = find(path);
    std::string name;
    for (const u8 byte : fs_->super->s_uuid) name += fmt::format("{:02x}", byte);
    return inode ? fmt::format("{}-{:x}", name, inode) : std::string();
  }

 private:
  /// 0: errno says why it is not there.
  ext2_ino_t find(const std::string& path) const {
    ext2_ino_t inode = 0;
    const errcode_t error = ext2fs_namei_follow(fs_.get(), EXT2_ROOT_INO, folder_, path.c_str(), &inode);
    if (!error) return inode;
    errno = error == EXT2_ET_FILE_NOT_FOUND ? ENOENT : error_number(error);
    return 0;
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

Result<Folder> open_ext_folder(int file, const std::string& path) {
  const std::string name = "/proc/self/fd/" + std::to_string(file);
  ext2_filsys fs = nullptr;
  if (const errcode_t error = ext2fs_open(name.c_str(), EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs))
    return Error{ErrorKind::BadInput, path + ": expected a file system that can be read, found that it cannot: " +
                                          error_message(error) + "; check it"};
  return Folder(std::make_shared<ExtFiles>(std::shared_ptr<struct_ext2_filsys>(FileSystem(fs)), EXT2_ROOT_INO), path);
}

}  // namespace armvisor::exec
