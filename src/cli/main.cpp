#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"

namespace {
/// Whoever starts the program with one of the descriptors 0 to 2 closed gets /dev/null there: what the program opens
/// next would take its place, and be written to as standard output or error.
void fill_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) _exit(4);
}
}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  armvisor::cli::Arguments arguments(argv + (argc > 0), argv + argc);
  if (argc > 0 && armvisor::cli::invoked_as_qemu(argv[0])) arguments.insert(arguments.begin(), "qemu");
  const auto status = armvisor::cli::dispatch(arguments);
  armvisor::drain_messages();
  return static_cast<int>(status);
}
