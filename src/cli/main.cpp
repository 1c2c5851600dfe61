#include "cli/commands.h"

int main(int argc, char** argv) {
  return static_cast<int>(armvisor::cli::dispatch(armvisor::cli::Arguments(argv + 1, argv + argc)));
}
