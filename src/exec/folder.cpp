#include "exec/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/host_error.h"

namespace armvisor::exec {

namespace {

class HostFiles final : public FolderFiles {
 public:
  explicit HostFiles(Fd fd) : fd_(std::move(fd)) {}
  std::shared_ptr<const FolderFiles> enter(const std::string& path) const override {
    Fd fd = open_inside(path, O_RDONLY | O_DIRECTORY);
    return fd ? std::make_shared<HostFiles>(std::move(fd)) : nullptr;
  }
  bool has(const std::string& path) const override { return static_cast<bool>(open_inside(path, O_PATH)); }
  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names;
    const Fd fd = open_inside(path, O_RDONLY | O_DIRECTORY);
    const auto close = [](DIR* d) { closedir(d); };
    const std::unique_ptr<DIR, decltype(close)> folder(fd ? fdopendir(dup(fd.get())) : nullptr, close);
    if (!folder) return names;
    while (const dirent* const entry = readdir(folder.get()))
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    return names;
  }
  Fd open_file(const std::string& path) const override {
    // Not one that waits for a writer, as a FIFO does.
    return open_inside(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  }

 private:
  Fd open_inside(const std::string& path, int flags) const {
    open_how how{};
    how.flags = static_cast<u64>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return Fd(static_cast<int>(syscall(SYS_openat2, fd_.get(), path.c_str(), &how, sizeof how)));
  }
  Fd fd_;
};

}  // namespace

Result<Folder> Folder::open(const std::string& path, const std::string& what) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return file_error(what + ": expected a folder, found " + path, errno, "name one");
  return Folder(std::make_shared<HostFiles>(std::move(fd)), path);
}

Result<Folder> Folder::enter(const std::string& path) const {
  auto files = files_->enter(path);
  const std::string full = path_ + "/" + path;
  if (!files) return file_error("expected a folder " + full, errno, "check it");
  return Folder(std::move(files), full);
}

std::vector<std::string> Folder::list(const std::string& path) const {
  std::vector<std::string> names = files_->list(path);
  std::ranges::sort(names);
  return names;
}

Result<Fd> Folder::open_file(const std::string& path) const {
  const std::string full = path_ + "/" + path;
  Fd fd = files_->open_file(path);
  if (!fd) return file_error("expected to read " + full, errno, "check it");
  struct stat st {};
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error{ErrorKind::BadInput, full + ": expected a regular file, found something else; check it"};
  return fd;
}

Result<std::vector<u8>> Folder::read(const std::string& path, u64 most) const {
  AV_TRY_ASSIGN(const Fd fd, open_file(path));
  std::vector<u8> bytes;
  for (;;) {
    const std::size_t at = bytes.size();
    bytes.resize(at + (std::size_t{1} << 16));
    const ssize_t n = ::read(fd.get(), &bytes[at], bytes.size() - at);
    if (n < 0 && errno != EINTR) return file_error("expected to read " + path_ + "/" + path, errno, "check it");
    bytes.resize(at + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return bytes;
    if (bytes.size() > most)
      return Error{ErrorKind::BadInput,
                   path_ + "/" + path + ": expected at most " + std::to_string(most) + " bytes, found more; check it"};
  }
}

bool is_system(const Folder& folder) {
  return folder.has("etc/os-release") || folder.has("usr/lib/os-release") || folder.has("sbin/init");
}

}  // namespace armvisor::exec
