#include "vmm/calibrator.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <span>

#include "base/assert.h"
#include "base/host_error.h"
#include "base/write_all.h"
#include "measure/solve.h"
#include "vmm/calibration_guest.h"
#include "vmm/vm.h"

namespace armvisor::vmm {
namespace {

/// Of machines. A loop counts in the first kind in which what it shows happens.
struct Kind {
  engine::JitOptions jit;
  engine::MmuPolicy mmu = engine::MmuPolicy::Asid;
};

std::vector<Kind> kinds() {
  std::vector<Kind> all(5);
  for (Kind& kind : all) {
    kind.jit.count_instructions = true;
    kind.jit.warm = 0;
    kind.jit.background = kind.jit.windows = false;
  }
  engine::JitOptions& calls = all[1].jit;  // operations that generated code does itself are light traps
  calls.inline_exclusives = calls.inline_system = calls.inline_banks = calls.inline_domains = false;
  AV_ASSERT(engine::set_trap_level("all", all[2].jit));
  all[3].mmu = engine::MmuPolicy::Rmap;
  all[4].jit.warm = engine::JitOptions{}.warm;
  // Loads mostly have windows, where the host can have them, for what is not new: with each change of privilege
  // another.
  if (engine::windows_available()) {
    all.push_back(all[2]);
    all.back().jit.windows = all.back().jit.windows_at_once = true;
  }
  return all;
}

/// The guest's code as a file that the loader can read.
Result<Fd> guest_file(std::span<const std::size_t> wanted) {
  const std::vector<u32> words = calibration_guest(wanted);
  std::vector<u8> bytes;
  for (const u32 word : words)
    for (u32 k = 0; k < 4; ++k) bytes.push_back(static_cast<u8>(word >> (8 * k)));
  Fd fd(memfd_create("armvisor-calibration", MFD_CLOEXEC));
  if (!fd || !write_all(fd.get(), bytes))
    return host_error("calibrate: expected memory for the guest", errno, "free some");
  return fd;
}

Result<std::vector<measure::MarkTotal>> run_guest(const Fd& file, const Kind& kind) {
  VmConfig config;
  config.boot.kernel = fmt::format("/proc/self/fd/{}@{:#x}", file.get(), k_calibration_base);
  config.boot.ram_size = k_calibration_ram;
  config.devices = {machine::EntropySpec{}};
  config.engine = "jit";
  config.jit = kind.jit;
  config.mmu = kind.mmu;
  config.count_time = true;
  config.reboot = false;
  AV_TRY_ASSIGN(const auto vm, Vm::create(std::move(config)));
  AV_TRY_ASSIGN(const EndReason reason, vm->run());
  if (reason == EndReason::Interrupted) return Error{ErrorKind::HostResource, "calibrate: ended by the user"};
  if (reason != EndReason::PoweredOff)
    return Error{ErrorKind::Internal, "calibrate: expected its guest to power off, found another end"};
  return vm->stats().marks;
}

/// Devices without a price of their own have that of the others.
void name_other_devices(measure::Load& load) {
  for (measure::Events& e : load.events) {
    bool own = !e.name.starts_with("device.");
    for (const CalibrationLoop& loop : calibration_loops()) own |= loop.term == e.name;
    if (!own) e.name = "device.other";
  }
}

/// By place of the loop.
using Measured = std::map<std::size_t, measure::Microbenchmark>;

/// What each of the loops did in one machine of `kind`.
Result<Measured> measure_loops(const Kind& kind, std::span<const std::size_t> wanted) {
  AV_TRY_ASSIGN(const Fd file, guest_file(wanted));
  AV_TRY_ASSIGN(const auto marks, run_guest(file, kind));
  Measured all;
  for (const std::size_t k : wanted)
    for (const measure::MarkTotal& mark : marks) {
      if (mark.name != mark_of(k) || mark.times == 0) continue;
      AV_TRY_ASSIGN(measure::Load load, measure::load_of(mark.total, "calibrate"));
      name_other_devices(load);
      all[k] = {std::string(calibration_loops()[k].term), std::move(load)};
    }
  if (all.size() != wanted.size())
    return Error{ErrorKind::Internal,
                 fmt::format("calibrate: expected {} marks of its guest, found {}", wanted.size(), all.size())};
  return all;
}

/// `kind` is one of those in which `loop` may count. Where the host has no windows, loads have none either.
bool counts_in(const CalibrationLoop& loop, const Kind& kind) {
  return kind.jit.windows || !loop.windowed || !engine::windows_available();
}

/// The loops that may count in a machine of `kind` and did not in the machines before. The others need not run: their
/// time would be for nothing.
std::vector<std::size_t> wanted_in(const Kind& kind, const Measured& before) {
  std::vector<std::size_t> wanted;
  for (std::size_t k = 0; k < calibration_loops().size(); ++k) {
    const auto found = before.find(k);
    const bool counted = found != before.end() && found->second.shows_term();
    if (!counted && counts_in(calibration_loops()[k], kind)) wanted.push_back(k);
  }
  return wanted;
}

/// Why no machine on this host shows the term of `loop`.
Result<std::string> why_not_shown(const CalibrationLoop& loop) {
  if (loop.windowed && !engine::windows_available()) return std::string("this host has no host-MMU windows (fsgsbase)");
  return Error{
      ErrorKind::Internal,
      fmt::format("calibrate: expected a loop of its guest to show {}, found none of it in any kind of machine",
                  loop.term)};
}

}  // namespace

std::string host_name() {
  std::string model = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  utsname u{};
  uname(&u);
  std::string missing;
  for (const engine::HostFeature& f : engine::host_features())
    if (!f.usable) missing += (missing.empty() ? ", without " : " ") + std::string(f.name);
  return model + ", " + u.sysname + " " + u.release + missing;
}

Result<measure::Calibration> calibrate(const CalibrationPlan& plan) {
  const std::vector<Kind> all = kinds();
  const u32 machines = static_cast<u32>(all.size()) * plan.rounds;
  std::map<std::string, std::vector<double>> seen;
  for (u32 round = 0, done = 0; round < plan.rounds; ++round) {
    Measured measured;
    for (const Kind& kind : all) {
      AV_TRY_ASSIGN(Measured more, measure_loops(kind, wanted_in(kind, measured)));
      for (auto& [loop, benchmark] : more) measured[loop] = std::move(benchmark);
      if (plan.progress) plan.progress(++done, machines);
    }
    std::vector<measure::Microbenchmark> loops;
    for (auto& [loop, benchmark] : measured) loops.push_back(std::move(benchmark));
    for (const auto& [term, ns] : measure::solve(loops)) seen[term].push_back(ns);
  }
  measure::Calibration out{plan.version, host_name(), plan.rounds, {}, {}, {}};
  for (const auto& [term, values] : seen) out.costs.emplace(term, measure::summarise(values));
  for (const CalibrationLoop& loop : calibration_loops()) {
    const std::string term(loop.term);
    if (out.find(term)) continue;
    AV_TRY_ASSIGN(out.not_shown[term], why_not_shown(loop));
  }
  return out;
}

}  // namespace armvisor::vmm
