#include "exec/cache_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/user_directory.h"

namespace armvisor::exec {
namespace {

/// A folder in another, made if there is none. Nothing: it is a link, or somebody else's, or others can write to it.
Fd own_folder(const Fd& above, const char* name) {
  mkdirat(above.get(), name, 0700);
  Fd folder(openat(above.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat s {};
  if (!folder || fstat(folder.get(), &s) != 0 || s.st_uid != geteuid() || (s.st_mode & 022) != 0) return {};
  return folder;
}

Fd own_cache(const char* name) {
  const std::string caches = user_cache_directory();
  if (caches.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(caches, error);
  const Fd above(::open(caches.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return own_folder(own_folder(above, "armvisor"), name);
}

void use_now(int file) {
  const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  (void)futimens(file, times);
}

}  // namespace

std::string file_identity(int file) {
  struct stat s {};
  if (fstat(file, &s) != 0 || !S_ISREG(s.st_mode)) return {};
  return fmt::format("{:x}-{:x}-{:x}-{:x}.{:09}-{:x}.{:09}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

CacheFolder::Unfinished::~Unfinished() {
  if (file_ && !path_.empty()) unlink(path_.c_str());
}

CacheFolder CacheFolder::open(const char* name, std::string prefix, Bounds bounds) {
  CacheFolder cache;
  cache.folder_ = own_cache(name);
  cache.prefix_ = std::move(prefix);
  cache.bounds_ = bounds;
  return cache;
}

std::string own_cache_folder(const char* name) {
  return own_cache(name) ? user_cache_directory() + "/armvisor/" + name : std::string();
}

std::string CacheFolder::path() const { return "/proc/self/fd/" + std::to_string(folder_.get()); }

/// PREFIX and digits, '.' and '-', of which there are two at least; then what an unfinished one has behind it.
bool CacheFolder::is_name(const std::string& name) const {
  if (!name.starts_with(prefix_) || name.size() >= 256) return false;
  std::string rest = name.substr(prefix_.size());
  if (const std::size_t unfinished = rest.find("._"); unfinished != rest.npos) rest.resize(unfinished);
  return std::ranges::count(rest, '-') >= 1 && rest.size() > 32 &&
         rest.find_first_not_of("0123456789abcdef.-") == rest.npos;
}

std::optional<Fd> CacheFolder::find(const std::string& name) const {
  if (!folder_ || name.empty()) return std::nullopt;
  Fd fd(openat(folder_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat s {};
  if (!fd || fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode) || s.st_uid != geteuid()) return std::nullopt;
  use_now(fd.get());
  return fd;
}

CacheFolder::Unfinished CacheFolder::begin(const std::string& name) const {
  if (!folder_ || name.empty()) return {};
  Fd fd(openat(folder_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return {std::move(fd), ""};
  std::string named = path() + "/" + name + "._XXXXXX";  // a file system that knows no files without a name
  fd = Fd(mkostemp(named.data(), O_CLOEXEC));
  if (!fd) return {};
  return {std::move(fd), std::move(named)};
}

bool CacheFolder::keep(Unfinished& file, const std::string& name) const {
  if (!folder_ || !file || fdatasync(file.file()) != 0) return false;
  use_now(file.file());
  // A name of one's own first: a link does not take the place of what is there, a new name does.
  for (int tries = 0; file.path_.empty() && tries < 100; ++tries) {
    const std::string named = fmt::format("{}/{}._{}-{}", path(), name, getpid(), tries);
    const std::string own = "/proc/self/fd/" + std::to_string(file.file());
    if (linkat(AT_FDCWD, own.c_str(), AT_FDCWD, named.c_str(), AT_SYMLINK_FOLLOW) == 0)
      file.path_ = named;
    else if (errno != EEXIST)
      return false;
  }
  if (file.path_.empty() || renameat(AT_FDCWD, file.path_.c_str(), folder_.get(), name.c_str()) != 0) return false;
  file.path_.clear();
  remove_old();
  return true;
}

void CacheFolder::remove_old() const {
  namespace fs = std::filesystem;
  struct File {
    timespec used;
    u64 bytes;
    fs::path path;
  };
  std::vector<File> files;
  std::error_code error;
  for (fs::directory_iterator at(path(), error), end; !error && at != end; at.increment(error)) {
    struct stat s {};
    if (is_name(at->path().filename()) && lstat(at->path().c_str(), &s) == 0 && S_ISREG(s.st_mode))
      files.push_back({s.st_atim, static_cast<u64>(s.st_blocks) * 512, at->path()});
  }
  std::ranges::sort(files, [](const File& a, const File& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) > std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  u64 bytes = 0;
  for (std::size_t n = 0; n < files.size(); ++n) {
    bytes += files[n].bytes;
    if (n >= bounds_.files || (n > 0 && bytes > bounds_.bytes)) fs::remove(files[n].path, error);
  }
}

}  // namespace armvisor::exec
