#include "cli/last_resort.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "base/log.h"
#include "cli/exit_status.h"
#include "devices/backends/terminal.h"

namespace armvisor::cli {
namespace {

[[noreturn]] void end_by_exception() {
  try {
    if (const std::exception_ptr e = std::current_exception()) std::rethrow_exception(e);
  } catch (const std::bad_alloc&) {
    say_last(k_out_of_memory);
    devices::restore_terminal();
    _exit(static_cast<int>(ExitStatus::HostResource));
  } catch (const std::exception& e) {
    char text[1024];
    std::snprintf(text, sizeof text, "internal error: %s", e.what());
    say_last(text);
  } catch (...) {
  }
  std::abort();
}

}  // namespace

void guard_against_exceptions() { std::set_terminate(end_by_exception); }

}  // namespace armvisor::cli
