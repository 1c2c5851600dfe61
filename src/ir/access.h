#pragma once
// What a load or store of the IR (Load, Load64, Store, Store64) is made of, and what it asks of its address. Front ends
// say it here and engines read it here.
//
// The pseudo-code of an instruction makes single accesses (MemA, MemU), the elements; an operation of the IR is one
// element or several side by side. Of each element holds, whatever path an engine takes (ARM DDI 0406C A3.2.1, A3.2.2):
//   - The address of the operation must be a multiple of `alignment`, or there is an Alignment fault before the address
//     is translated.
//   - In memory that is not Normal, each element must lie at a multiple of its size, or there is an Alignment fault.
//   - An element at a multiple of its size is read or written in one piece in RAM (A3.5.3), and reaches a device as one
//     access; one of 8 bytes reaches it as two words, since no register of a device is wider.
#include "ir/ir.h"

namespace armvisor::ir {

struct Access {
  u32 size = 0;       ///< bytes in all
  u32 element = 0;    ///< bytes of each element; divides size
  u32 alignment = 1;  ///< bytes; 1: none is asked for

  constexpr bool allows(u32 va) const { return (va & (alignment - 1)) == 0; }
  constexpr bool is_aligned(u32 va) const { return (va & (element - 1)) == 0; }
};

/// Inst::attr2 of loads and stores: alignment in bytes (0: the size), and the logarithm of the number of elements. The
/// alignment holds with MemAttr::aligned.
struct AccessAttr {
  static constexpr u8 alignment_mask = 0x3f;
  static constexpr unsigned elements_shift = 6;
};

constexpr Access access_of(u8 attr, u8 attr2) {
  const u32 size = attr & MemAttr::size_mask, asked = attr2 & AccessAttr::alignment_mask;
  const bool aligned = attr & MemAttr::aligned;
  return {size, size >> (attr2 >> AccessAttr::elements_shift), aligned ? (asked ? asked : size) : 1};
}
constexpr Access access_of(const Inst& i) { return access_of(i.attr, i.attr2); }

/// The inverse: Inst::attr (the size, and MemAttr::aligned) and Inst::attr2.
struct AccessCode {
  u8 attr, attr2;
};
constexpr AccessCode encode(const Access& a) {
  AccessCode code{static_cast<u8>(a.size), 0};
  for (u32 element = a.element; element < a.size; element *= 2) code.attr2 += 1 << AccessAttr::elements_shift;
  if (a.alignment > 1) {
    code.attr |= MemAttr::aligned;
    if (a.alignment != a.size) code.attr2 |= static_cast<u8>(a.alignment);
  }
  return code;
}

}  // namespace armvisor::ir
