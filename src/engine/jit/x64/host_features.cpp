#include "engine/jit/x64/host_features.h"

#include <fmt/core.h>
#include <sys/auxv.h>
#include <xbyak/xbyak_util.h>

#include <cstdlib>
#include <string_view>

#include "engine/engine.h"

namespace armvisor::engine {
namespace {

using jit::HostFeatures;

constexpr unsigned long k_hwcap2_fsgsbase = 1ul << 1;

struct Row {
  std::string_view name, use;
  bool HostFeatures::*member;
};
constexpr Row k_rows[] = {
#define HOST_FEATURE(member, name, use) {name, use, &HostFeatures::member},
#include "engine/jit/x64/host_features.inc"
#undef HOST_FEATURE
};

const Row* find_row(std::string_view name) {
  for (const Row& row : k_rows)
    if (row.name == name) return &row;
  return nullptr;
}

/// f(name) for each name in ARMVISOR_HIDE.
template <class F>
void for_each_hidden(F f) {
  const char* const variable = std::getenv("ARMVISOR_HIDE");
  for (std::string_view left = variable ? variable : ""; !left.empty();) {
    const std::size_t comma = std::min(left.find(','), left.size());
    if (comma > 0) f(left.substr(0, comma));
    left.remove_prefix(std::min(comma + 1, left.size()));
  }
}

HostFeatures detect() {
  const Xbyak::util::Cpu cpu;
  using C = Xbyak::util::Cpu;
  HostFeatures host;
  host.fsgsbase = (::getauxval(AT_HWCAP2) & k_hwcap2_fsgsbase) != 0;
  host.bmi1 = cpu.has(C::tBMI1);
  host.bmi2 = cpu.has(C::tBMI2);
  host.lzcnt = cpu.has(C::tLZCNT);
  host.sse41 = cpu.has(C::tSSE41);
  host.avx = cpu.has(C::tAVX);
  host.avx2 = cpu.has(C::tAVX2);
  host.fma = cpu.has(C::tFMA);
  for_each_hidden([&](std::string_view name) {
    if (const Row* const row = find_row(name)) host.*row->member = false;
  });
  // The forms that need AVX2 or FMA are made of AVX as well.
  host.avx2 &= host.avx;
  host.fma &= host.avx;
  return host;
}

}  // namespace

const HostFeatures& HostFeatures::get() {
  static const HostFeatures host = detect();
  return host;
}

std::vector<HostFeature> host_features() {
  std::vector<HostFeature> all;
  for (const Row& row : k_rows) all.push_back({row.name, row.use, HostFeatures::get().*row.member});
  return all;
}

Status check_hidden_features() {
  Status status;
  for_each_hidden([&](std::string_view name) {
    if (find_row(name) || !status) return;
    std::string known;
    for (const Row& row : k_rows) known += (known.empty() ? "" : ", ") + std::string(row.name);
    status = Error{
        ErrorKind::BadArguments,
        fmt::format("ARMVISOR_HIDE: expected some of {}, separated by commas, found '{}'; change or unset the variable",
                    known, name)};
  });
  return status;
}

}  // namespace armvisor::engine
