#include "cli/last_resort.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "cli/exit_status.h"
#include "vmm/terminal.h"

namespace armvisor::cli {
namespace {

[[noreturn]] void end_by_exception() {
  try {
    if (const std::exception_ptr e = std::current_exception()) std::rethrow_exception(e);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "armvisor: %s\n", k_out_of_memory);
    vmm::restore_terminal();
    _exit(static_cast<int>(ExitStatus::HostResource));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "armvisor: internal error: %s\n", e.what());
  } catch (...) {
  }
  std::abort();
}

}  // namespace

void guard_against_exceptions() { std::set_terminate(end_by_exception); }

}  // namespace armvisor::cli
