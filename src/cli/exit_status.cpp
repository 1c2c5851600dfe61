#include "cli/exit_status.h"

#include <cstdio>

namespace armvisor::cli {

ExitStatus report(const Error& error) {
  std::fprintf(stderr, "armvisor: %s\n", error.message.c_str());
  switch (error.kind) {
    case ErrorKind::BadArguments: return ExitStatus::BadArguments;
    case ErrorKind::BadInput: return ExitStatus::BadInput;
    case ErrorKind::HostResource: return ExitStatus::HostResource;
    case ErrorKind::Internal: break;
  }
  return ExitStatus::Internal;
}

}  // namespace armvisor::cli
