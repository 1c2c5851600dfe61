#pragma once
// SCSI commands and their answers, as values: what a transport of SCSI (virtio-scsi) and a logical unit say to each
// other. SPC-4, SBC-3 and MMC-6 are the command sets' standards.
#include <sys/uio.h>

#include <array>
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices::scsi {

/// Status of a command (SAM-5 5.3.1).
enum class Status : u8 { Good = 0x00, CheckCondition = 0x02 };

/// Why a command failed: sense key, additional sense code and its qualifier (SPC-4 4.5).
struct Sense {
  u8 key, code, qualifier;
  constexpr bool operator==(const Sense&) const = default;
};
inline constexpr Sense k_no_sense = {0x0, 0x00, 0x00};
inline constexpr Sense k_invalid_opcode = {0x5, 0x20, 0x00};
inline constexpr Sense k_out_of_range = {0x5, 0x21, 0x00};
inline constexpr Sense k_invalid_field = {0x5, 0x24, 0x00};
inline constexpr Sense k_no_such_unit = {0x5, 0x25, 0x00};
inline constexpr Sense k_invalid_parameters = {0x5, 0x26, 0x00};
inline constexpr Sense k_write_protected = {0x7, 0x27, 0x00};
inline constexpr Sense k_no_room = {0x7, 0x27, 0x07};
inline constexpr Sense k_io_error = {0xb, 0x00, 0x06};

/// Fixed format (SPC-4 4.5.3).
inline constexpr std::size_t k_sense_bytes = 18;
std::array<u8, k_sense_bytes> sense_data(const Sense& sense);

inline constexpr std::size_t k_cdb_bytes = 32;  ///< of the longest command; shorter ones are followed by zeros
using Cdb = std::array<u8, k_cdb_bytes>;

/// A command with its data: what the initiator gives, and where it wants the answer. The buffers are the guest's, which
/// may change them at any time: what is checked is copied first.
struct Command {
  Cdb cdb{};
  std::span<const iovec> out, in;
};

struct Reply {
  Status status = Status::Good;
  Sense sense = k_no_sense;
  u64 moved = 0;  ///< bytes of `out` that were taken, or of `in` that were filled
};

/// What a buffer holds in all, in bytes.
u64 total(std::span<const iovec> buffers);
/// Copies from `from`, or to `to`, as much as there is; returns how much that was.
std::size_t gather(std::span<const iovec> from, std::span<u8> bytes);
std::size_t scatter(std::span<const iovec> to, std::span<const u8> bytes);

constexpr bool bit(u8 byte, u32 n) { return (byte >> n & 1) != 0; }
// Numbers in commands are big-endian.
constexpr u32 get16(const u8* p) { return u32{p[0]} << 8 | p[1]; }
constexpr u32 get24(const u8* p) { return u32{p[0]} << 16 | get16(p + 1); }
constexpr u32 get32(const u8* p) { return get16(p) << 16 | get16(p + 2); }
constexpr u64 get64(const u8* p) { return u64{get32(p)} << 32 | get32(p + 4); }
constexpr void put16(u8* p, u32 v) {
  p[0] = static_cast<u8>(v >> 8);
  p[1] = static_cast<u8>(v);
}
constexpr void put32(u8* p, u32 v) {
  put16(p, v >> 16);
  put16(p + 2, v);
}
constexpr void put64(u8* p, u64 v) {
  put32(p, static_cast<u32>(v >> 32));
  put32(p + 4, static_cast<u32>(v));
}

}  // namespace armvisor::devices::scsi
