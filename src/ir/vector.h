#pragma once
// Advanced SIMD operations of the IR's Vector opcode: one line each in vector_ops.inc, each with a reference function.
// Engines call the reference function or emit their own code; both give the same bits and the same FPSCR.
#include <string_view>

#include "arm/fp.h"
#include "base/types.h"

namespace armvisor::ir {

enum class VecOp : u8 {
#define VEC(name, ...) name,
#include "ir/vector_ops.inc"
#undef VEC
  Count
};

/// Inst::imm of Vector: what to do, on which elements.
struct VectorImm {
  static constexpr u64 make(VecOp op, unsigned esize_log2, bool q, u32 imm = 0) {
    return u64(op) | u64(esize_log2) << 8 | u64(q) << 16 | u64(imm) << 32;
  }
  static constexpr VecOp op(u64 v) { return static_cast<VecOp>(v & 0xff); }
  static constexpr unsigned esize_log2(u64 v) { return (v >> 8) & 0xff; }  ///< 3, 4, 5, 6: 8- to 64-bit elements
  static constexpr bool q(u64 v) { return (v >> 16) & 1; }
  static constexpr u32 imm(u64 v) { return static_cast<u32>(v >> 32); }
};

/// One evaluation. Vectors are 128 bits; with q clear only the low 64 bits of inputs count and the result's high half
/// is 0 (except for widening and narrowing ops, which say so in vector_ops.inc).
struct VecArgs {
  V128 a, b, c;
  unsigned esize_log2;
  bool q;
  u32 imm;
  u32 fpscr;      ///< FPSCR at entry; StandardFPSCRValue is derived from it
  u32 fpscr_set;  ///< out: bits to OR into FPSCR (QC and cumulative flags); zeroed by the caller
};
using VecFunction = V128 (*)(VecArgs&);

// An engine that emits its own code for an op must give what the reference function gives, for every input:
// - all 128 bits of the result: the high half is 0 with q clear and after narrowing, and high halves of the inputs have
//   no influence then, neither on the result nor on FPSCR (a saturation or an FP exception in a dead lane sets
//   nothing);
// - QC and the cumulative flags ORed into FPSCR, never cleared. Nothing else of FPSCR is read but AHP, and that by
//   FNarrow16 and FWiden16 only: RMode, FZ and DN of the guest do not reach Advanced SIMD (A2.7.8);
// - FP: round to nearest; every NaN result is 0x7fc00000; denormal inputs are zeros of their sign and set IDC (not in
//   FAbs, FNeg, FWiden16); a result that is tiny before rounding is a zero of its sign and sets UFC without IXC. x86
//   differs in each: tininess after rounding, PE raised with FTZ, DE instead of IDC (and only without DAZ), another
//   default NaN; MAXPS and MINPS differ for zeros and NaNs, CVTTPS2DQ when out of range. Host results are usable when
//   MXCSR shows no exception but PE and the result is above the smallest normal number, else call the reference;
// - FMla, FMls round the product (and flush it) before the sum; FRecps, FRsqrts likewise, with 0 * inf = 0;
// - register shifts take the signed bottom byte of b and have no upper bound; rounding shifts lose no carry.
struct VecInfo {
  std::string_view name;
  VecFunction function;
  bool fp;  ///< may set cumulative floating-point flags
  bool qc;  ///< may set FPSCR.QC
};
const VecInfo& info(VecOp op);

}  // namespace armvisor::ir
