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

struct VecInfo {
  std::string_view name;
  VecFunction function;
  bool fp;  ///< may set cumulative floating-point flags
  bool qc;  ///< may set FPSCR.QC
};
const VecInfo& info(VecOp op);

}  // namespace armvisor::ir
