#include "exec/ext_image.h"

#include <ext2fs/ext2fs.h>
#include <fmt/core.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/host_error.h"

namespace armvisor::exec {

struct ExtImage::State {
  ~State() {
    if (file) ext2fs_file_close(file);
    if (fs) ext2fs_free(fs);
  }
  std::string what;
  u64 bytes = 0;
  ext2_filsys fs = nullptr;
  ext2_file_t file = nullptr;
  u32 next_inode = 0;
};

namespace {

constexpr u32 k_longest_fast_link = 59, k_most_links = 65000;
constexpr u32 k_first_inode = 11;  ///< those before it are the file system's own (EXT2_GOOD_OLD_FIRST_INO)
constexpr u32 k_inode_size = 256;

/// A name in a folder: its inode, the size of the record, of the name, the type, the name (Linux fs/ext4/ext4.h,
/// ext4_dir_entry_2).
constexpr u32 record_size(std::size_t name) { return static_cast<u32>((8 + name + 3) / 4 * 4); }

u8 file_type(u32 mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return EXT2_FT_REG_FILE;
    case S_IFDIR: return EXT2_FT_DIR;
    case S_IFCHR: return EXT2_FT_CHRDEV;
    case S_IFBLK: return EXT2_FT_BLKDEV;
    case S_IFIFO: return EXT2_FT_FIFO;
    case S_IFSOCK: return EXT2_FT_SOCK;
    case S_IFLNK: return EXT2_FT_SYMLINK;
    default: return EXT2_FT_UNKNOWN;
  }
}

/// Records of names, in blocks that the last one of each fills.
class FolderBytes {
 public:
  void add(std::string_view name, u32 inode, u8 type) {
    const u32 size = record_size(name.size());
    if (bytes_.empty() || ExtImage::k_block - at_ < size) new_block();
    last_ = bytes_.size() - ExtImage::k_block + at_;
    u8* const p = &bytes_[last_];
    std::memcpy(p, &inode, 4);
    set_size(size);
    p[6] = static_cast<u8>(name.size());
    p[7] = type;
    std::memcpy(p + 8, name.data(), name.size());
    at_ += size;
  }
  std::vector<u8> finish() {
    fill();
    return std::move(bytes_);
  }

 private:
  void set_size(u32 size) {
    const u16 value = static_cast<u16>(size);
    std::memcpy(&bytes_[last_ + 4], &value, 2);
  }
  void fill() {
    if (!bytes_.empty()) set_size(static_cast<u32>(bytes_.size() - last_));
  }
  void new_block() {
    fill();
    bytes_.resize(bytes_.size() + ExtImage::k_block);
    at_ = 0;
  }
  std::vector<u8> bytes_;
  std::size_t last_ = 0;
  u32 at_ = 0;  ///< in the last block
};

void put_attributes(ext2_inode& inode, const Attributes& a) {
  const auto time = static_cast<u32>(static_cast<s32>(std::clamp<s64>(a.mtime, INT32_MIN, INT32_MAX)));
  inode.i_mode = static_cast<u16>(a.mode);
  inode.i_uid = static_cast<u16>(a.uid);
  inode.osd2.linux2.l_i_uid_high = static_cast<u16>(a.uid >> 16);
  inode.i_gid = static_cast<u16>(a.gid);
  inode.osd2.linux2.l_i_gid_high = static_cast<u16>(a.gid >> 16);
  inode.i_atime = inode.i_ctime = inode.i_mtime = time;
}

/// As Linux's new_encode_dev() has it, behind an empty old one.
void put_device(ext2_inode& inode, const Attributes& a) {
  inode.i_block[0] = 0;
  inode.i_block[1] = (a.minor & 0xff) | (a.major << 8) | ((a.minor & ~0xffu) << 12);
}

/// Its bytes are in extents, of which there are none yet.
void begin_extents(ext2_inode& inode) {
  ext3_extent_header header{};
  header.eh_magic = EXT3_EXT_MAGIC;
  header.eh_max = (sizeof inode.i_block - sizeof header) / sizeof(ext3_extent);
  std::memcpy(inode.i_block, &header, sizeof header);
  inode.i_flags = EXT4_EXTENTS_FL;
}

struct ext2_super_block super_block(u64 bytes) {
  struct ext2_super_block s {};
  ext2fs_blocks_count_set(&s, bytes / ExtImage::k_block);
  s.s_log_block_size = 2;
  s.s_rev_level = EXT2_DYNAMIC_REV;
  s.s_inode_size = k_inode_size;
  s.s_first_ino = k_first_inode;
  s.s_inodes_count = static_cast<u32>(bytes / ExtImage::k_bytes_for_inode);
  s.s_log_groups_per_flex = 4;
  s.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_FLEX_BG;
  s.s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR;
  s.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
                          EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
                          EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
  return s;
}

}  // namespace

ExtImage::ExtImage(std::unique_ptr<State> state) : s_(std::move(state)) {}
ExtImage::ExtImage(ExtImage&&) noexcept = default;
ExtImage::~ExtImage() = default;

Error ExtImage::failed(long error) const {
  switch (error) {
    case EXT2_ET_BLOCK_ALLOC_FAIL:
      return {ErrorKind::BadInput,
              fmt::format("{}: expected at most {} MiB when it is unpacked, found more; give --unpacked a greater size",
                          s_->what, s_->bytes >> 20)};
    case EXT2_ET_INODE_ALLOC_FAIL:
      return {ErrorKind::BadInput,
              fmt::format("{}: expected at most {} files, found more; give --unpacked a greater size", s_->what,
                          s_->fs->super->s_inodes_count)};
    default: break;
  }
  if (error > 0 && error < 4096)
    return host_error(s_->what + ": expected room for it when it is unpacked", static_cast<int>(error),
                      "make room where XDG_CACHE_HOME is, or have it elsewhere");
  return {ErrorKind::Internal, fmt::format("{}: it cannot be unpacked: {}", s_->what, error_message(error))};
}

#define EXT_TRY(expr) \
  if (const long ext_error = (expr)) return failed(ext_error)

Result<ExtImage> ExtImage::create(int file, u64 bytes, std::string what) {
  ExtImage image(std::make_unique<State>());
  State& s = *image.s_;
  s.what = std::move(what);
  s.bytes = bytes;
  struct ext2_super_block super = super_block(bytes);
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (const long error = ext2fs_initialize(path.c_str(), EXT2_FLAG_64BITS, &super, unix_io_manager, &s.fs))
    return image.failed(error);
  s.fs->super->s_state = EXT2_VALID_FS;
  if (getrandom(s.fs->super->s_uuid, sizeof s.fs->super->s_uuid, 0) < 0) return image.failed(errno);
  s.fs->super->s_min_extra_isize = s.fs->super->s_want_extra_isize = 32;
  if (const long error = ext2fs_allocate_tables(s.fs)) return image.failed(error);
  for (u32 n = 1; n < k_first_inode; ++n) ext2fs_inode_alloc_stats2(s.fs, n, 1, n == k_root);
  ext2_inode root{};
  put_attributes(root, {.mode = S_IFDIR | 0755});
  root.i_links_count = 1;
  begin_extents(root);
  if (const long error = ext2fs_write_new_inode(s.fs, k_root, &root)) return image.failed(error);
  s.next_inode = k_first_inode;
  return image;
}

u32 ExtImage::inodes() const { return s_->fs->super->s_inodes_count; }

Result<u32> ExtImage::add(const Attributes& a) {
  if (s_->next_inode > s_->fs->super->s_inodes_count) return failed(EXT2_ET_INODE_ALLOC_FAIL);
  const u32 number = s_->next_inode++;
  ext2_inode inode{};
  put_attributes(inode, a);
  inode.i_links_count = 1;
  if (S_ISCHR(a.mode) || S_ISBLK(a.mode))
    put_device(inode, a);
  else if (S_ISREG(a.mode) || S_ISDIR(a.mode))
    begin_extents(inode);
  EXT_TRY(ext2fs_write_new_inode(s_->fs, number, &inode));
  ext2fs_inode_alloc_stats2(s_->fs, number, 1, S_ISDIR(a.mode));
  return number;
}

Status ExtImage::change(u32 number, const Attributes& a) {
  ext2_inode inode{};
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  put_attributes(inode, a);
  EXT_TRY(ext2fs_write_inode(s_->fs, number, &inode));
  return {};
}

Status ExtImage::set_link(u32 number, std::string_view target) {
  ext2_inode inode{};
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  const bool fast = target.size() <= k_longest_fast_link;
  if (fast) {
    std::memcpy(inode.i_block, target.data(), target.size());
    EXT_TRY(ext2fs_inode_size_set(s_->fs, &inode, target.size()));
  } else {
    begin_extents(inode);
  }
  EXT_TRY(ext2fs_write_inode(s_->fs, number, &inode));
  if (fast) return {};
  AV_TRY(begin_file(number, target.size(), false));
  AV_TRY(write(0, {reinterpret_cast<const u8*>(target.data()), target.size()}));
  return end_file(target.size());
}

Status ExtImage::set_xattr(u32 number, const std::string& name, std::span<const u8> value) {
  ext2_xattr_handle* handle = nullptr;
  EXT_TRY(ext2fs_xattrs_open(s_->fs, number, &handle));
  long error = ext2fs_xattrs_read(handle);
  if (!error) error = ext2fs_xattr_set(handle, name.c_str(), value.data(), value.size());
  ext2fs_xattrs_close(&handle);
  // One that has no room, or a name that is not known, is left out, as tar does where a file system has none.
  if (error && error != EXT2_ET_EA_NO_SPACE && error != EXT2_ET_EA_BAD_NAME_LEN && error != EXT2_ET_EA_BAD_VALUE_SIZE)
    return failed(error);
  return {};
}

Status ExtImage::begin_file(u32 number, u64 size, bool sparse) {
  if (size > s_->bytes) return failed(EXT2_ET_BLOCK_ALLOC_FAIL);
  const u64 blocks = (size + k_block - 1) / k_block;
  if (blocks && !sparse)
    EXT_TRY(ext2fs_fallocate(s_->fs, EXT2_FALLOCATE_FORCE_INIT, number, nullptr, ~u64{0}, 0, blocks));
  EXT_TRY(ext2fs_file_open(s_->fs, number, EXT2_FILE_WRITE, &s_->file));
  return {};
}

Status ExtImage::write(u64 offset, std::span<const u8> bytes) {
  if (offset > s_->bytes || bytes.size() > s_->bytes - offset) return failed(EXT2_ET_BLOCK_ALLOC_FAIL);
  EXT_TRY(ext2fs_file_llseek(s_->file, offset, EXT2_SEEK_SET, nullptr));
  while (!bytes.empty()) {
    unsigned written = 0;
    const auto most = static_cast<unsigned>(std::min<std::size_t>(bytes.size(), 1u << 20));
    EXT_TRY(ext2fs_file_write(s_->file, bytes.data(), most, &written));
    bytes = bytes.subspan(written);
  }
  return {};
}

Status ExtImage::end_file(u64 size) {
  const long sized = ext2fs_file_set_size2(s_->file, size);
  const long closed = ext2fs_file_close(std::exchange(s_->file, nullptr));
  EXT_TRY(sized ? sized : closed);
  return {};
}

Result<u64> ExtImage::file_size(u32 number) const {
  ext2_inode inode{};
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  return EXT2_I_SIZE(&inode);
}

Status ExtImage::remove(u32 number, bool folder) {
  ext2_inode inode{};
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  EXT_TRY(ext2fs_free_ext_attr(s_->fs, number, nullptr));
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  if (inode.i_flags & EXT4_EXTENTS_FL) EXT_TRY(ext2fs_punch(s_->fs, number, &inode, nullptr, 0, ~u64{0}));
  inode = {};
  EXT_TRY(ext2fs_write_inode(s_->fs, number, &inode));
  ext2fs_inode_alloc_stats2(s_->fs, number, -1, folder);
  return {};
}

Status ExtImage::write_folder(u32 number, u32 parent, std::span<const Name> names) {
  FolderBytes folder;
  folder.add(".", number, EXT2_FT_DIR);
  folder.add("..", parent, EXT2_FT_DIR);
  u32 links = 2;
  for (const Name& n : names) {
    folder.add(n.name, n.inode, file_type(n.mode));
    links += S_ISDIR(n.mode) ? 1 : 0;
  }
  const std::vector<u8> bytes = folder.finish();
  AV_TRY(begin_file(number, bytes.size(), false));
  AV_TRY(write(0, bytes));
  AV_TRY(end_file(bytes.size()));
  return set_links(number, links >= k_most_links ? 1 : links);  // 1: more than can be counted
}

Status ExtImage::set_links(u32 number, u32 count) {
  if (count > k_most_links)
    return Error{ErrorKind::BadInput, fmt::format("{}: expected at most {} names of one file, found more; check it",
                                                  s_->what, k_most_links)};
  ext2_inode inode{};
  EXT_TRY(ext2fs_read_inode(s_->fs, number, &inode));
  inode.i_links_count = static_cast<u16>(count);
  EXT_TRY(ext2fs_write_inode(s_->fs, number, &inode));
  return {};
}

Status ExtImage::finish() {
  const long error = ext2fs_close(s_->fs);
  if (error) return failed(error);
  s_->fs = nullptr;
  return {};
}

}  // namespace armvisor::exec
