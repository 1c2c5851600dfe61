#include "base/host_error.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

namespace armvisor {
namespace {

std::string text(const std::string& expected, int error, std::string_view advice) {
  return fmt::format("{}, the host says: {}; {}", expected, std::strerror(error), advice);
}

}  // namespace

bool is_host_limit(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EFBIG:
    case ENOSPC:
    case EDQUOT: return true;
    default: return false;
  }
}

std::string_view advice_on(int error, std::string_view otherwise) {
  switch (error) {
    case EMFILE: return "raise the limit on open files (ulimit -n)";
    case ENFILE: return "the host has too many open files: end some programs";
    case ENOMEM:
      return "give the machine less with --memory, or raise the limit on memory (ulimit -v, or the container's)";
    case EFBIG: return "raise the limit on the size of files (ulimit -f)";
    case ENOSPC:
    case EDQUOT: return "make room where the file is";
    default: return otherwise;
  }
}

Error host_error(const std::string& expected, int error, std::string_view otherwise) {
  return {ErrorKind::HostResource, text(expected, error, advice_on(error, otherwise))};
}

Error file_error(const std::string& expected, int error, std::string_view otherwise) {
  return {is_host_limit(error) ? ErrorKind::HostResource : ErrorKind::BadInput,
          text(expected, error, advice_on(error, otherwise))};
}

Error thread_error(const std::string& name, int error) {
  return {ErrorKind::HostResource,
          text("expected to start the thread '" + name + "'", error,
               "raise the limits on processes and memory (ulimit -u, ulimit -v, or the container's)")};
}

}  // namespace armvisor
