#pragma once
// Items of the syntax strings of simd.inc that depend on more than one field in a way of their own:
//   {fd} {fn} {fm}       S or D register of field d, n, m, as field z says
//   {fimm}               VFP immediate;  {modimm}  Advanced SIMD modified immediate
//   {isize} {isize2}     element size that L:imm6 holds, and twice that
//   {rshift} {lshift}    shift amount of L:imm6;  {lshift0}  ", #amount", nothing for 0
//   {shll}               vshll, or vmovl when the amount is 0
//   {fbits} {vfbits}     fraction bits of the Advanced SIMD and VFP conversions with fixed point
//   {scalar}             Dm[x] of the multiplications by scalar;  {duplane}  size and operands of VDUP (scalar)
//   {table}              list of VTBL;  {vregs}  list of VLDM, VSTM;  {vaddr}  address of VLDR, VSTR
//   {vlist} {vmem}       list and address of VLDn, VSTn;  {vlane} {vall}  both, for the single-lane and all-lanes forms
//   {corelane} {coreext} VMOV between core register and scalar: "size Dd[x]" parts and sign;  {vmrst}  Rt of VMRS
#include <string>

#include "frontend/decoder.h"

namespace armvisor::frontend {

/// Appends item `name` to `out`; false when it is none of the above.
bool format_simd_item(const Inst& inst, std::string_view name, std::string& out);

}  // namespace armvisor::frontend
