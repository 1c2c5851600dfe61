#pragma once
// The CFI query table of one chip of CfiFlash (JEDEC JESD68.01 and the Intel primary algorithm's extension).
#include <array>

#include "base/types.h"

namespace armvisor::devices {

/// log2 of the bytes that a chip's write buffer holds.
inline constexpr u32 k_cfi_buffer_bits = 11;

/// `chip_size_bits`: log2 of a chip's bytes; `block_size`: a chip's erase block in bytes.
constexpr std::array<u8, 0x40> make_cfi_query(u32 chip_size_bits, u32 blocks, u32 block_size) {
  std::array<u8, 0x40> t{};
  t[0x10] = 'Q';
  t[0x11] = 'R';
  t[0x12] = 'Y';
  t[0x13] = 0x01;  // primary command set: Intel/Sharp extended
  t[0x15] = 0x31;  // address of its table
  t[0x1b] = 0x45;  // Vcc 4.5 V to 5.5 V, no Vpp
  t[0x1c] = 0x55;
  t[0x1f] = 0x07;  // typical times: 2^7 us per word and per buffer, 2^10 ms per block
  t[0x20] = 0x07;
  t[0x21] = 0x0a;
  t[0x23] = 0x04;  // maximum times: 2^4 times the typical ones
  t[0x24] = 0x04;
  t[0x25] = 0x04;
  t[0x27] = static_cast<u8>(chip_size_bits);
  t[0x28] = 0x02;  // x8 and x16 interface
  t[0x2a] = k_cfi_buffer_bits;
  t[0x2c] = 1;  // erase regions
  t[0x2d] = static_cast<u8>(blocks - 1);
  t[0x2e] = static_cast<u8>((blocks - 1) >> 8);
  t[0x2f] = static_cast<u8>(block_size >> 8);
  t[0x30] = static_cast<u8>(block_size >> 16);
  t[0x31] = 'P';
  t[0x32] = 'R';
  t[0x33] = 'I';
  t[0x34] = '1';
  t[0x35] = '0';
  t[0x3f] = 0x01;  // protection fields
  return t;
}

}  // namespace armvisor::devices
