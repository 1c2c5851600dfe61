#include "cli/exit_status.h"

#include "base/log.h"

namespace armvisor::cli {

ExitStatus report(const Error& error) {
  say(error.message);
  switch (error.kind) {
    case ErrorKind::BadArguments: return ExitStatus::BadArguments;
    case ErrorKind::BadInput: return ExitStatus::BadInput;
    case ErrorKind::HostResource: return ExitStatus::HostResource;
    case ErrorKind::Internal: break;
  }
  return ExitStatus::Internal;
}

}  // namespace armvisor::cli
