#include "machine/hypercalls.h"

#include <array>

namespace armvisor::machine::hypercalls {
namespace {

// Function identifiers (DEN0028 chapters 6 and 7), 32-bit fast calls.
enum Function : u32 {
  k_smccc_version = 0x80000000,
  k_smccc_arch_features = 0x80000001,
  k_service = 0x86000000,
  k_service_end = 0x86010000,
  k_service_calls = 0x8600ff00,
  k_service_uid = 0x8600ff01,
  k_service_revision = 0x8600ff03,
};
constexpr u32 k_smccc_1_1 = 0x10001;
constexpr u32 k_revision_major = 1, k_revision_minor = 0;
// UUID 61726d76-6973-4f72-8e1c-2d5a90b7c3f4, its bytes from the lowest of R0 to the highest of R3 (DEN0028 6.2).
constexpr std::array<u32, 4> k_uid = {0x766d7261, 0x724f7369, 0x5a2d1c8e, 0xf4c3b790};

enum class Call : u32 {
#define HYPERCALL(name, number, arguments, results, help) name = number,
#include "machine/hypercalls.inc"
#undef HYPERCALL
};
constexpr u32 bit_of(Call c) { return 1u << static_cast<u32>(c); }
constexpr u32 k_calls = 0
#define HYPERCALL(name, number, arguments, results, help) | bit_of(Call::name)
#include "machine/hypercalls.inc"
#undef HYPERCALL
    ;
constexpr u32 k_hints =
    bit_of(Call::PtAlloc) | bit_of(Call::PtFree) | bit_of(Call::BatchBegin) | bit_of(Call::BatchEnd);

void answer(arm::CpuState& s, CallStatus status) { s.r[0] = static_cast<u32>(status); }

void answer(arm::CpuState& s, u32 at, u64 value) {
  s.r[at] = static_cast<u32>(value);
  s.r[at + 1] = static_cast<u32>(value >> 32);
}

CallStatus table_hint(const arm::CpuState& s, engine::Vcpu& vcpu, engine::TableHint hint) {
  const GuestPa pa(u64{s.r[2]} << 32 | s.r[1]);
  const u32 level = hint == engine::TableHint::Allocated ? s.r[3] : 1;
  if (level < 1 || level > 3) return CallStatus::InvalidParameter;
  vcpu.table_hint(hint, pa, level);
  return CallStatus::Success;
}

/// The name in R1 to R4: up to 16 characters, or up to the first zero. Whether it may be one is the host's to say.
std::string_view mark_name(const arm::CpuState& s, std::array<char, 16>& bytes) {
  for (u32 k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<char>(s.r[1 + k / 4] >> (8 * (k % 4)));
  const std::string_view name(bytes.data(), bytes.size());
  return name.substr(0, name.find('\0'));
}

CallStatus guest_exit(const arm::CpuState& s, u32 caller, HypercallHost& host) {
  if (s.r[1] > k_max_exit_status) return CallStatus::InvalidParameter;
  host.guest_exit(caller, s.r[1]);
  return CallStatus::Success;
}

void serve(Call function, arm::CpuState& s, u32 caller, engine::Vcpu& vcpu, HypercallHost& host) {
  using engine::TableHint;
  std::array<char, 16> name;
  switch (function) {
    case Call::Features:
      s.r[0] = k_calls;
      s.r[1] = vcpu.uses_table_hints() ? k_calls : k_calls & ~k_hints;
      s.r[2] = s.r[3] = 0;
      return;
    case Call::PtAlloc: return answer(s, table_hint(s, vcpu, TableHint::Allocated));
    case Call::PtFree: return answer(s, table_hint(s, vcpu, TableHint::Freed));
    case Call::BatchBegin: return answer(s, table_hint(s, vcpu, TableHint::BatchBegin));
    case Call::BatchEnd: return answer(s, table_hint(s, vcpu, TableHint::BatchEnd));
    case Call::Clock: {
      const HypercallHost::Time now = host.host_time();
      answer(s, 0, now.monotonic_ns);
      return answer(s, 2, now.realtime_ns);
    }
    case Call::Exit: return answer(s, guest_exit(s, caller, host));
    case Call::MarkBegin: return answer(s, host.mark_begin(mark_name(s, name)));
    case Call::MarkEnd: return answer(s, host.mark_end(mark_name(s, name)));
  }
  answer(s, CallStatus::NotSupported);
}

}  // namespace

bool call(arm::CpuState& s, u32 caller, engine::Vcpu& vcpu, HypercallHost& host) {
  const u32 function = s.r[0];
  switch (function) {
    case k_smccc_version: s.r[0] = k_smccc_1_1; return true;
    case k_smccc_arch_features:
      answer(s, s.r[1] == k_smccc_version || s.r[1] == k_smccc_arch_features ? CallStatus::Success
                                                                             : CallStatus::NotSupported);
      return true;
    case k_service_calls: s.r[0] = static_cast<u32>(__builtin_popcount(k_calls)) + 3; return true;
    case k_service_uid:
      for (u32 k = 0; k < 4; ++k) s.r[k] = k_uid[k];
      return true;
    case k_service_revision:
      s.r[0] = k_revision_major;
      s.r[1] = k_revision_minor;
      return true;
    default: break;
  }
  if (function < k_service || function >= k_service_end) return false;
  serve(static_cast<Call>(function - k_service), s, caller, vcpu, host);
  return true;
}

}  // namespace armvisor::machine::hypercalls
