#include "base/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/host_error.h"

namespace armvisor {

Result<Fd> temporary_file(const std::string& subject, const std::string& purpose) {
  const char* const set = std::getenv("TMPDIR");
  const std::string folder = set && *set ? set : "/var/tmp";
  Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) {  // a file system that knows no such files
    std::string name = folder + "/armvisor-XXXXXX";
    file = Fd(::mkostemp(name.data(), O_CLOEXEC));
    if (file) ::unlink(name.c_str());
  }
  if (!file)
    return host_error(subject + ": expected room in " + folder + " " + purpose, errno,
                      "name a folder of a large disk by the variable TMPDIR");
  return file;
}

}  // namespace armvisor
