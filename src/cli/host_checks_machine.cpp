// Whether a machine runs here: one does, in a process of its own.
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <chrono>
#include <cstring>

#include "base/child_process.h"
#include "base/fd.h"
#include "base/types.h"
#include "base/write_all.h"
#include "cli/host_checks.h"

namespace armvisor::cli::probes {
namespace {

/// MOVW R0, #8; MOVT R0, #0x8400; HVC #0 (SYSTEM_OFF of PSCI); B .
constexpr u32 k_power_off[] = {0xe3000008, 0xe3480400, 0xe1400070, 0xeafffffe};
constexpr unsigned k_patience_ms = 60'000;

/// The machine's words, without what all of them begin with.
std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  text = text.substr(text.rfind('\n') + 1);
  constexpr std::string_view k_name = "armvisor: ";
  return text.starts_with(k_name) ? text.substr(k_name.size()) : text;
}

}  // namespace

Finding machine() {
  Fd code(::memfd_create("armvisor-doctor", MFD_CLOEXEC));
  if (!code || !write_all(code.get(), {reinterpret_cast<const u8*>(k_power_off), sizeof k_power_off}))
    return {false, std::string("memfd_create: ") + std::strerror(errno)};
  const auto begin = std::chrono::steady_clock::now();
  auto child =
      ChildProcess::start({"/proc/self/exe", "run", "--kernel", "/proc/self/fd/3@0x40008000", "--timeout", "50"},
                          std::move(code), "which runs a machine", "armvisor");
  if (!child) return {false, child.error().message};
  const int status = child->end(k_patience_ms);
  const std::string said = last_line(child->take_messages());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return {
        true,
        fmt::format(
            "ran to its power-off in {} ms",
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count())};
  return {false, fmt::format("a process that ran one {}{}{}", describe_status(status), said.empty() ? "" : ": ", said)};
}

}  // namespace armvisor::cli::probes
