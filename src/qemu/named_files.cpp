// Files of the host that a line names: whether they can be what they are to be.
#include <errno.h>
#include <sys/stat.h>

#include <cstring>

#include "devices/backends/nbd_disk.h"
#include "qemu/machine.h"

namespace armvisor::qemu {
namespace {

/// What is wrong with a file; empty: nothing, or it is missing and `missing_too` is not set.
std::string fault(const NamedFile& file, bool missing_too) {
  struct stat s {};
  if (::stat(file.path.c_str(), &s) != 0)
    return missing_too ? "expected a file that is there, of which the host says: " + std::string(std::strerror(errno)) +
                             "; check its name"
                       : "";
  if (file.kind == NamedFile::Kind::Folder)
    return S_ISDIR(s.st_mode) ? "" : "expected a folder, found a file; name one";
  if (S_ISDIR(s.st_mode)) return "expected a file, found a folder; name a file in it";
  switch (file.kind) {
    case NamedFile::Kind::Image:
      if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)) return "expected a regular file or a block device; name one";
      break;
    case NamedFile::Kind::Entropy:
      if (!S_ISCHR(s.st_mode))
        return "expected /dev/random, /dev/urandom or another source of entropy, which is always the host's; name one";
      break;
    case NamedFile::Kind::Folder: break;
  }
  return {};
}

}  // namespace

void check_files(Line& line, bool missing_too) {
  const auto check = [&](const NamedFile& file) {
    if (std::string why = fault(file, missing_too); !why.empty()) line.outcomes.refused(file.option, std::move(why));
  };
  for (const NamedFile& file : line.files) check(file);
  for (const Share& share : line.shares)
    if (!share.refused && share.used) check({share.given.text(), share.options.path, NamedFile::Kind::Folder});
  for (const Drive& drive : line.drives)
    if (!drive.refused && !drive.source.path.empty() && !devices::is_nbd_address(drive.source.path))
      check({drive.given.text(), drive.source.path, NamedFile::Kind::Image});
}

}  // namespace armvisor::qemu
