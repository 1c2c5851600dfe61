#include "cli/calibration_path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/fd.h"
#include "base/host_error.h"
#include "base/input_file.h"
#include "base/output_file.h"
#include "base/user_directory.h"
#include "base/write_all.h"
#include "cli/commands.h"
#include "vmm/calibrator.h"

namespace armvisor::cli {
namespace {
constexpr u64 k_most = u64{64} << 20;
}

Result<std::string> calibration_path() {
  const std::string directory = user_cache_directory();
  if (directory.empty())
    return Error{ErrorKind::BadArguments,
                 "costs of this host: expected a place to keep them, found neither XDG_CACHE_HOME nor HOME; set one"};
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::string name = host;
  for (char& c : name)
    if (c == '/' || c == '\0') c = '-';
  return directory + "/armvisor/costs-" + name + ".json";
}

Status save_calibration(const std::string& path, const measure::Calibration& calibration) {
  const auto failed = [&](int error) {
    return host_error("calibrate: expected to write " + path, error, "check the path and its permissions");
  };
  std::error_code error;
  const std::filesystem::path file(path);
  // Folders of the cache are the user's own (XDG Base Directory Specification); kernels are kept in no others.
  const mode_t mask = ::umask(077);
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  ::umask(mask);
  if (error) return failed(error.value());
  AV_TRY(OutputFile::check("--output", path));
  // Written beside, under a name that is not there yet, and moved, so that a reader never sees half of it.
  std::string part = path + ".XXXXXX";
  const Fd fd(::mkostemp(part.data(), O_CLOEXEC));
  if (!fd) return failed(errno);
  const std::string text = measure::calibration_json(calibration);
  if (::fchmod(fd.get(), 0666 & ~mask) == 0 &&
      write_all(fd.get(), {reinterpret_cast<const u8*>(text.data()), text.size()}) &&
      ::rename(part.c_str(), path.c_str()) == 0)
    return {};
  const int reason = errno;
  ::unlink(part.c_str());
  return failed(reason);
}

Result<measure::Calibration> load_calibration(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0)
    return Error{ErrorKind::BadInput,
                 "model: expected the costs of this host in " + path + ", found none; run 'armvisor calibrate' first"};
  AV_TRY_ASSIGN(const auto bytes, read_file(path, "calibration", k_most));
  AV_TRY_ASSIGN(measure::Calibration c, measure::parse_calibration({bytes.begin(), bytes.end()}, path));
  const auto other = [&](const std::string& what, const std::string& expected, const std::string& found) {
    return Error{ErrorKind::BadInput, path + ": expected costs of " + what + " " + expected + ", found " + found +
                                          "; run 'armvisor calibrate' again"};
  };
  if (c.version != version_text()) return other("version", version_text(), c.version);
  if (c.host != vmm::host_name()) return other("this host,", vmm::host_name(), c.host);
  return c;
}

}  // namespace armvisor::cli
