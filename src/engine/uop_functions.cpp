#include "engine/uop_functions.h"

#include <array>

#include "arm/cp15.h"
#include "arm/debug_events.h"
#include "arm/fp.h"
#include "engine/context.h"
#include "engine/debug_stops.h"
#include "engine/dsp.h"
#include "engine/system_effects.h"
#include "ir/vector.h"

namespace armvisor::engine {
namespace {

using measure::Counter;

template <class T>
T& at(Context& c, u16 offset) {
  return *reinterpret_cast<T*>(reinterpret_cast<u8*>(&c) + 4 * std::size_t{offset});
}
u32& r32(Context& c, u16 o) { return at<u32>(c, o); }
u64& r64(Context& c, u16 o) { return at<u64>(c, o); }

/// Counts a sensitive operation by how its helper was reached.
void count(Context& c, Counter light, Counter heavy) { c.counters.add(c.dispatch.world_switched ? heavy : light); }

// --- PSR and banked registers
constexpr u32 k_mrs_mask = 0xf8ff03df;  // B9.3.8 MRS: execution state bits read as zero

bool read_cpsr(Context& c, const Uop& u) {
  count(c, Counter::LightPsr, Counter::HeavyPsr);
  r32(c, u.dst) = arm::cpsr(c.guest) & k_mrs_mask;
  return true;
}
bool write_cpsr(Context& c, const Uop& u) {
  count(c, Counter::LightPsr, Counter::HeavyPsr);
  arm::write_cpsr_by_instr(c.guest, r32(c, u.a), static_cast<u32>(u.imm), false);
  return true;
}
bool read_spsr(Context& c, const Uop& u) {
  count(c, Counter::LightPsr, Counter::HeavyPsr);
  r32(c, u.dst) = arm::spsr(c.guest);
  return true;
}
bool write_spsr(Context& c, const Uop& u) {
  count(c, Counter::LightPsr, Counter::HeavyPsr);
  arm::write_spsr_by_instr(c.guest, r32(c, u.a), static_cast<u32>(u.imm));
  return true;
}

/// SPSR of `mode`, current or not.
u32* spsr_of(arm::CpuState& s, u32 mode) {
  const arm::Bank bank = arm::bank_of(mode);
  return bank == arm::Bank::Usr ? nullptr : &s.bank_spsr[static_cast<u32>(bank)];
}
bool read_mode_reg(Context& c, const Uop& u) {
  count(c, Counter::LightBanked, Counter::HeavyBanked);
  const u32 mode = static_cast<u32>(u.imm >> 8), n = u.imm & 0xff;
  if (n == 16) {
    const u32* spsr = spsr_of(c.guest, mode);
    r32(c, u.dst) = spsr ? *spsr : 0;
  } else {
    r32(c, u.dst) = arm::read_mode_reg(c.guest, mode, n);
  }
  return true;
}
bool write_mode_reg(Context& c, const Uop& u) {
  count(c, Counter::LightBanked, Counter::HeavyBanked);
  const u32 mode = static_cast<u32>(u.imm >> 8), n = u.imm & 0xff;
  if (n == 16) {
    if (u32* spsr = spsr_of(c.guest, mode)) *spsr = r32(c, u.a);
  } else {
    arm::write_mode_reg(c.guest, mode, n, r32(c, u.a));
  }
  return true;
}
bool set_endian(Context& c, const Uop& u) {
  c.counters.add(Counter::LightPsr);
  c.guest.psr = u.imm ? c.guest.psr | arm::k_psr_e : c.guest.psr & ~arm::k_psr_e;
  return true;
}
bool set_it(Context& c, const Uop& u) {
  c.guest.it = static_cast<u8>(u.imm);
  return true;
}
bool or_q(Context& c, const Uop& u) {
  c.guest.q |= r32(c, u.a) != 0;
  return true;
}
bool set_ge(Context& c, const Uop& u) {
  c.guest.ge = r32(c, u.a) & 15;
  return true;
}
bool cond_value(Context& c, const Uop& u) {
  r32(c, u.dst) = arm::condition_holds(c.guest, static_cast<arm::Cond>(u.imm));
  return true;
}

// --- system registers
bool read_sys32(Context& c, const Uop& u) {
  count(c, Counter::LightSysRead, Counter::HeavySysRead);
  u64 value = 0;
  if (!arm::read_sysreg(c.guest, *c.system, static_cast<arm::SysRegId>(u.imm), value)) return false;
  r32(c, u.dst) = static_cast<u32>(value);
  return true;
}
bool write_sys32(Context& c, const Uop& u) {
  static const arm::SysRegId dacr = arm::find_sysreg32(15, 0, 3, 0, 0);
  const auto id = static_cast<arm::SysRegId>(u.imm);
  if (id == dacr)
    count(c, Counter::LightDomains, Counter::HeavyDomains);
  else
    count(c, Counter::LightSysWrite, Counter::HeavySysWrite);
  return arm::write_sysreg(c.guest, *c.system, id, r32(c, u.a));
}
bool read_sys64(Context& c, const Uop& u) {
  count(c, Counter::LightSysRead, Counter::HeavySysRead);
  u64 value = 0;
  if (!arm::read_sysreg(c.guest, *c.system, static_cast<arm::SysRegId>(u.imm), value)) return false;
  r64(c, u.dst) = value;
  return true;
}
bool write_sys64(Context& c, const Uop& u) {
  count(c, Counter::LightSysWrite, Counter::HeavySysWrite);
  return arm::write_sysreg(c.guest, *c.system, static_cast<arm::SysRegId>(u.imm), r64(c, u.a));
}

bool no_debug_event(Context& c, const Uop& u) {
  const u32 pc = static_cast<u32>(u.imm);
  const bool may_be = c.policy.debug_filter >> arm::filter_bit(pc) & 1;
  r32(c, u.dst) = !may_be || (!c.stops->stops_at(pc) && arm::instruction_event(c.guest, pc) == arm::DebugEntry::None);
  return true;
}

// --- memory
bool load_ex(Context& c, const Uop& u) {
  u64 value = 0;
  if (!c.memory->load_exclusive(r32(c, u.a) + static_cast<u32>(u.imm), static_cast<u8>(u.imm >> 32), value))
    return false;
  r32(c, u.dst) = static_cast<u32>(value);
  return true;
}
bool load_ex64(Context& c, const Uop& u) {
  u64 value = 0;
  if (!c.memory->load_exclusive(r32(c, u.a) + static_cast<u32>(u.imm), static_cast<u8>(u.imm >> 32), value))
    return false;
  r64(c, u.dst) = value;
  return true;
}
bool store_ex(Context& c, const Uop& u) {
  u32 result = 1;
  const u32 va = r32(c, u.a) + static_cast<u32>(u.imm);
  if (!c.memory->store_exclusive(va, static_cast<u8>(u.imm >> 32), r32(c, u.b), result)) return false;
  r32(c, u.dst) = result;
  return true;
}
bool store_ex64(Context& c, const Uop& u) {
  u32 result = 1;
  const u32 va = r32(c, u.a) + static_cast<u32>(u.imm);
  if (!c.memory->store_exclusive(va, static_cast<u8>(u.imm >> 32), r64(c, u.b), result)) return false;
  r32(c, u.dst) = result;
  return true;
}
bool clear_ex(Context& c, const Uop&) {
  c.counters.add(Counter::LightExclusive);
  c.guest.excl_pa = ~u64{0};
  return true;
}
bool fence(Context& c, const Uop&) {
  c.system->fence();
  return true;
}
bool sev(Context& c, const Uop&) {
  c.system->send_event();
  return true;
}

// --- floating point
bool read_fpscr(Context& c, const Uop& u) {
  c.counters.add(Counter::LightFpSystem);
  r32(c, u.dst) = arm::fpscr(c.guest);
  return true;
}
bool write_fpscr(Context& c, const Uop& u) {
  c.counters.add(Counter::LightFpSystem);
  arm::set_fpscr(c.guest, r32(c, u.a));
  return true;
}
bool fpscr_to_flags(Context& c, const Uop&) {
  const u32 x = c.guest.fpscr_nzcv;
  c.guest.n = x >> 31;
  c.guest.z = x >> 30 & 1;
  c.guest.c = x >> 29 & 1;
  c.guest.v = x >> 28 & 1;
  return true;
}
bool read_fpexc(Context& c, const Uop& u) {
  count(c, Counter::LightFpEnable, Counter::HeavyFpEnable);
  r32(c, u.dst) = c.guest.fpexc;
  return true;
}
bool write_fpexc(Context& c, const Uop& u) {
  count(c, Counter::LightFpEnable, Counter::HeavyFpEnable);
  c.guest.fpexc = r32(c, u.a) & 1u << 30;  // EN; EX and the rest read as zero on this CPU
  return true;
}

/// FPSCR's controls around one operation; keeps the cumulative flags.
class FpScope {
 public:
  explicit FpScope(Context& c) : env(arm::FpEnv::from_fpscr(c.guest.fpscr_ctl)), c_(c) {}
  ~FpScope() { c_.guest.fpscr_flags |= env.flags; }
  FpScope(const FpScope&) = delete;
  FpScope& operator=(const FpScope&) = delete;
  arm::FpEnv env;

 private:
  Context& c_;
};

template <class T, T (*F)(T, T, arm::FpEnv&)>
bool fp_binary(Context& c, const Uop& u) {
  FpScope fp(c);
  at<T>(c, u.dst) = F(at<T>(c, u.a), at<T>(c, u.b), fp.env);
  return true;
}
template <class R, class T, R (*F)(T, arm::FpEnv&)>
bool fp_unary(Context& c, const Uop& u) {
  FpScope fp(c);
  at<R>(c, u.dst) = F(at<T>(c, u.a), fp.env);
  return true;
}
template <class T, T (*F)(T)>
bool fp_pure(Context& c, const Uop& u) {
  at<T>(c, u.dst) = F(at<T>(c, u.a));
  return true;
}
template <class T>
bool fp_mul_add_op(Context& c, const Uop& u) {
  FpScope fp(c);
  at<T>(c, u.dst) = arm::fp_mul_add<T>(at<T>(c, u.a), at<T>(c, u.b), at<T>(c, u.c), fp.env);
  return true;
}
template <class T>
bool fp_compare_op(Context& c, const Uop& u) {
  FpScope fp(c);
  c.guest.fpscr_nzcv = arm::fp_compare<T>(at<T>(c, u.a), at<T>(c, u.b), u.imm == 1, fp.env);
  return true;
}
bool half_to_single(Context& c, const Uop& u) {
  FpScope fp(c);
  r32(c, u.dst) = arm::fp_half_to_single(static_cast<u16>(r32(c, u.a)), fp.env);
  return true;
}
bool single_to_half(Context& c, const Uop& u) {
  FpScope fp(c);
  r32(c, u.dst) = arm::fp_single_to_half(r32(c, u.a), fp.env);
  return true;
}
template <class T>
bool to_fixed(Context& c, const Uop& u) {
  using ir::FixedAttr;
  FpScope fp(c);
  const unsigned width = FixedAttr::width(u.imm);
  const bool is_unsigned = FixedAttr::is_unsigned(u.imm);
  const arm::Rounding rounding = FixedAttr::round_zero(u.imm) ? arm::Rounding::Zero : fp.env.rounding;
  const u32 v = static_cast<u32>(
      arm::fp_to_fixed<T>(at<T>(c, u.a), width, FixedAttr::fraction_bits(u.imm), is_unsigned, rounding, fp.env));
  r32(c, u.dst) = is_unsigned ? static_cast<u32>(v & low_mask(width)) : sign_extend(v, width);
  return true;
}
template <class T>
bool from_fixed(Context& c, const Uop& u) {
  using ir::FixedAttr;
  FpScope fp(c);
  if (FixedAttr::round_zero(u.imm)) fp.env.rounding = arm::Rounding::Nearest;
  at<T>(c, u.dst) = arm::fixed_to_fp<T>(r32(c, u.a), FixedAttr::width(u.imm), FixedAttr::fraction_bits(u.imm),
                                        FixedAttr::is_unsigned(u.imm), fp.env);
  return true;
}

// --- vectors
bool vector(Context& c, const Uop& u) {
  using ir::VectorImm;
  ir::VecArgs args{at<V128>(c, u.a),    at<V128>(c, u.b),      at<V128>(c, u.c),    VectorImm::esize_log2(u.imm),
                   VectorImm::q(u.imm), VectorImm::imm(u.imm), arm::fpscr(c.guest), 0};
  at<V128>(c, u.dst) = ir::info(VectorImm::op(u.imm)).function(args);
  c.guest.fpscr_flags |= args.fpscr_set & arm::k_fpscr_cumulative;
  c.guest.fpscr_ctl |= args.fpscr_set & arm::k_fpscr_qc;
  return true;
}

bool get_lane(Context& c, const Uop& u) {
  const u32 esize = u.imm & 0xff, lane = static_cast<u32>(u.imm >> 8);
  const u8* bytes = &at<u8>(c, u.a);
  switch (esize) {
    case 8: r32(c, u.dst) = bytes[lane]; break;
    case 16: r32(c, u.dst) = reinterpret_cast<const u16*>(bytes)[lane]; break;
    default: r32(c, u.dst) = reinterpret_cast<const u32*>(bytes)[lane]; break;
  }
  return true;
}
bool set_lane(Context& c, const Uop& u) {
  const u32 esize = u.imm & 0xff, lane = static_cast<u32>(u.imm >> 8);
  const u32 value = r32(c, u.b);
  at<V128>(c, u.dst) = at<V128>(c, u.a);
  u8* bytes = &at<u8>(c, u.dst);
  switch (esize) {
    case 8: bytes[lane] = static_cast<u8>(value); break;
    case 16: reinterpret_cast<u16*>(bytes)[lane] = static_cast<u16>(value); break;
    default: reinterpret_cast<u32*>(bytes)[lane] = value; break;
  }
  return true;
}
bool dup(Context& c, const Uop& u) {
  const u64 x = r32(c, u.a);
  u64 v = 0;
  switch (u.imm & 0xff) {
    case 8: v = (x & 0xff) * 0x0101010101010101ull; break;
    case 16: v = (x & 0xffff) * 0x0001000100010001ull; break;
    default: v = x * 0x0000000100000001ull; break;
  }
  at<V128>(c, u.dst) = {v, v};
  return true;
}

// --- DSP
template <u32 (*F)(u32, u32, arm::CpuState&)>
bool dsp2(Context& c, const Uop& u) {
  r32(c, u.dst) = F(r32(c, u.a), r32(c, u.b), c.guest);
  return true;
}
template <u32 (*F)(u32, u32, arm::CpuState&)>
bool dsp_imm(Context& c, const Uop& u) {
  r32(c, u.dst) = F(r32(c, u.a), static_cast<u32>(u.imm), c.guest);
  return true;
}
bool parallel_op(Context& c, const Uop& u) {
  r32(c, u.dst) = dsp::parallel(r32(c, u.a), r32(c, u.b), static_cast<u32>(u.imm), c.guest);
  return true;
}

constexpr Helper fp_helper(ir::Op op) {
  using ir::Op;
  switch (op) {
    case Op::FAdd32: return fp_binary<u32, arm::fp_add<u32>>;
    case Op::FSub32: return fp_binary<u32, arm::fp_sub<u32>>;
    case Op::FMul32: return fp_binary<u32, arm::fp_mul<u32>>;
    case Op::FDiv32: return fp_binary<u32, arm::fp_div<u32>>;
    case Op::FSqrt32: return fp_unary<u32, u32, arm::fp_sqrt<u32>>;
    case Op::FMulAdd32: return fp_mul_add_op<u32>;
    case Op::FNeg32: return fp_pure<u32, arm::fp_neg<u32>>;
    case Op::FAbs32: return fp_pure<u32, arm::fp_abs<u32>>;
    case Op::FCmp32: return fp_compare_op<u32>;
    case Op::FAdd64: return fp_binary<u64, arm::fp_add<u64>>;
    case Op::FSub64: return fp_binary<u64, arm::fp_sub<u64>>;
    case Op::FMul64: return fp_binary<u64, arm::fp_mul<u64>>;
    case Op::FDiv64: return fp_binary<u64, arm::fp_div<u64>>;
    case Op::FSqrt64: return fp_unary<u64, u64, arm::fp_sqrt<u64>>;
    case Op::FMulAdd64: return fp_mul_add_op<u64>;
    case Op::FNeg64: return fp_pure<u64, arm::fp_neg<u64>>;
    case Op::FAbs64: return fp_pure<u64, arm::fp_abs<u64>>;
    case Op::FCmp64: return fp_compare_op<u64>;
    case Op::FCvt32To64: return fp_unary<u64, u32, arm::fp_single_to_double>;
    case Op::FCvt64To32: return fp_unary<u32, u64, arm::fp_double_to_single>;
    case Op::FCvt16To32: return half_to_single;
    case Op::FCvt32To16: return single_to_half;
    case Op::F32ToFixed: return to_fixed<u32>;
    case Op::F64ToFixed: return to_fixed<u64>;
    case Op::FixedToF32: return from_fixed<u32>;
    case Op::FixedToF64: return from_fixed<u64>;
    case Op::ReadFpscr: return read_fpscr;
    case Op::WriteFpscr: return write_fpscr;
    case Op::FpscrToFlags: return fpscr_to_flags;
    case Op::ReadFpexc: return read_fpexc;
    case Op::WriteFpexc: return write_fpexc;
    case Op::Vector: return vector;
    case Op::VGetLane: return get_lane;
    case Op::VSetLane: return set_lane;
    case Op::VDup: return dup;
    default: return nullptr;
  }
}

constexpr Helper find_helper(ir::Op op) {
  using ir::Op;
  switch (op) {
    case Op::OrQ: return or_q;
    case Op::NoDebugEvent: return no_debug_event;
    case Op::SetGE: return set_ge;
    case Op::CondValue: return cond_value;
    case Op::AddOverflow: return dsp2<dsp::add_overflow>;
    case Op::QAdd: return dsp2<dsp::qadd>;
    case Op::QSub: return dsp2<dsp::qsub>;
    case Op::SSat: return dsp_imm<dsp::ssat>;
    case Op::USat: return dsp_imm<dsp::usat>;
    case Op::SSat16: return dsp_imm<dsp::ssat16>;
    case Op::USat16: return dsp_imm<dsp::usat16>;
    case Op::Parallel: return parallel_op;
    case Op::Sel: return dsp2<dsp::sel>;
    case Op::Usad8: return dsp2<dsp::usad8>;
    case Op::LoadEx: return load_ex;
    case Op::LoadEx64: return load_ex64;
    case Op::StoreEx: return store_ex;
    case Op::StoreEx64: return store_ex64;
    case Op::ClearEx: return clear_ex;
    case Op::Fence: return fence;
    case Op::ReadCpsr: return read_cpsr;
    case Op::WriteCpsr: return write_cpsr;
    case Op::ReadSpsr: return read_spsr;
    case Op::WriteSpsr: return write_spsr;
    case Op::ReadModeReg: return read_mode_reg;
    case Op::WriteModeReg: return write_mode_reg;
    case Op::SetEndian: return set_endian;
    case Op::SetIt: return set_it;
    case Op::ReadSys: return read_sys32;
    case Op::WriteSys: return write_sys32;
    case Op::ReadSys64: return read_sys64;
    case Op::WriteSys64: return write_sys64;
    case Op::Sev: return sev;
    default: return fp_helper(op);
  }
}

}  // namespace

bool exit_indirect(Context& c, const Uop& u) {
  c.guest.r[15] = r32(c, u.a);
  return true;
}
bool exit_interwork(Context& c, const Uop& u) {
  const u32 target = r32(c, u.a);
  c.guest.psr = (c.guest.psr & ~arm::k_psr_t) | (target & 1) << 5;
  c.guest.r[15] = target & ((target & 1) ? ~1u : ~3u);
  return true;
}
bool exit_switch(Context& c, const Uop& u) {
  c.guest.psr ^= arm::k_psr_t;
  c.guest.r[15] = static_cast<u32>(u.imm);
  return true;
}
bool exit_return(Context& c, const Uop& u) {
  const u32 pc = r32(c, u.a), psr = r32(c, u.b);
  c.counters.add(Counter::HeavyReturn);
  arm::write_cpsr_by_instr(c.guest, psr, 15, true);
  c.guest.r[15] = pc & (c.guest.thumb() ? ~1u : ~3u);
  return true;
}

namespace {

constexpr auto k_helpers = [] {
  std::array<Helper, static_cast<std::size_t>(ir::Op::Count)> helpers{};
  for (std::size_t op = 0; op < helpers.size(); ++op) helpers[op] = find_helper(static_cast<ir::Op>(op));
  helpers[helper_number(ir::Op::ExitReturn)] = exit_return;
  return helpers;
}();

}  // namespace

Helper helper_of(ir::Op op) { return find_helper(op); }
Helper helper_by_number(u16 number) { return k_helpers[number]; }

}  // namespace armvisor::engine
