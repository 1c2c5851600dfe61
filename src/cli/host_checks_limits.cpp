// What the host's kernel lets a process have.
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "base/cgroup_limits.h"
#include "base/fd.h"
#include "base/sandbox_support.h"
#include "base/types.h"
#include "cli/host_checks.h"

namespace armvisor::cli {
namespace {

constexpr u64 k_mib = u64{1} << 20;
constexpr u64 k_enough_memory = 1024 * k_mib;      // the largest default, and what a process needs beside it
constexpr u64 k_enough_addresses = u64{64} << 30;  // RAM, code, and windows of 4 GiB each
constexpr u64 k_enough_descriptors = 1024, k_enough_processes = 64, k_enough_mappings = 65530;

std::string in_mib(u64 bytes) { return fmt::format("{} MiB", bytes / k_mib); }

/// The number behind a name in a file such as /proc/meminfo, or its first if `name` is empty.
std::optional<u64> number_of(const char* path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
  return std::nullopt;
}

/// nothing: there is no limit
std::optional<u64> limit_of(__rlimit_resource_t which) {
  rlimit limit{};
  if (::getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

Finding at_least(std::optional<u64> limit, u64 enough, std::string found) {
  return {limit.value_or(enough) >= enough, limit ? std::move(found) : "no limit"};
}

std::string error_text(const char* what) { return fmt::format("{}: {}", what, std::strerror(errno)); }

}  // namespace

namespace probes {

Finding cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                                  : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const auto quota = CgroupLimits().cpus();
  const std::string limited = quota ? fmt::format(", of which the control group gives the time of {:.1f}", *quota) : "";
  return {count >= 2 && quota.value_or(2) >= 2, fmt::format("{} for this process{}", count, limited)};
}

Finding memory() {
  const auto kib = number_of("/proc/meminfo", "MemAvailable:");
  const auto grouped = CgroupLimits().memory_left();
  if (!kib && !grouped) return {true, "of unknown size"};
  const u64 free = kib ? *kib * 1024 : *grouped;
  const u64 least = std::min(free, grouped.value_or(free));
  return {least >= k_enough_memory,
          in_mib(least) + (grouped && *grouped < free ? " left in the control group" : " available")};
}

Finding address_space() {
  const auto limit = limit_of(RLIMIT_AS);
  return at_least(limit, k_enough_addresses, in_mib(limit.value_or(0)));
}

Finding overcommit() {
  const u64 mode = number_of("/proc/sys/vm/overcommit_memory", "").value_or(0);
  return {mode != 2, fmt::format("vm.overcommit_memory is {}", mode)};
}

Finding mappings() {
  const auto most = number_of("/proc/sys/vm/max_map_count", "");
  return at_least(most, k_enough_mappings, fmt::format("{}", most.value_or(0)));
}

/// As guest RAM and generated code have it: written by one mapping, and executed by another.
Finding executable_memory() {
  constexpr std::size_t k_bytes = 4096;
  const Fd fd(::memfd_create("armvisor-doctor", MFD_CLOEXEC));
  if (!fd) return {false, error_text("memfd_create")};
  if (::ftruncate(fd.get(), k_bytes) != 0) return {false, error_text("ftruncate")};
  for (const int protection : {PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
    void* const at = ::mmap(nullptr, k_bytes, protection, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return {false, error_text(protection & PROT_EXEC ? "an executable mapping" : "a mapping")};
    ::munmap(at, k_bytes);
  }
  return {true, "memfd_create, written and executed by mappings of its own"};
}

Finding descriptors() {
  const auto limit = limit_of(RLIMIT_NOFILE);
  return at_least(limit, k_enough_descriptors, fmt::format("{}", limit.value_or(0)));
}

Finding processes() {
  const auto limit = limit_of(RLIMIT_NPROC), grouped = CgroupLimits().processes_left();
  const auto least = limit && grouped ? std::min(limit, grouped) : limit ? limit : grouped;
  return at_least(least, k_enough_processes,
                  fmt::format("{}{}", least.value_or(0), grouped == least ? " left in the control group" : ""));
}

Finding file_size() {
  const auto limit = limit_of(RLIMIT_FSIZE);
  return {!limit, limit ? in_mib(*limit) : "no limit"};
}

Finding seccomp() {
  const bool there = sandbox_support().seccomp;
  return {there, there ? "there" : "not in this kernel"};
}

Finding landlock() {
  const int abi = sandbox_support().landlock;
  return {abi > 0, abi > 0 ? fmt::format("version {}", abi) : "not in this kernel, or switched off"};
}

}  // namespace probes
}  // namespace armvisor::cli
