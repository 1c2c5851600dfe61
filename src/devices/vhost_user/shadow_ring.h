#pragma once
// A split virtqueue of our own, whose device side is a program on the host. The guest's chains are checked by
// virtio/queue.h and put here, so the program never sees the guest's rings, nor the guest the program's.
//
// The ring is in memory that the program may write at any time. All that is known of it is kept beside it: descriptors
// and available entries are written and never read, and of what the program writes each word is read once and checked:
// no chain is used that was not given, none twice, none for more bytes than it has room for.
#include <string>
#include <vector>

#include "base/types.h"
#include "devices/virtio/queue.h"

namespace armvisor::devices::vhost_user {

class ShadowRing {
 public:
  static constexpr u16 k_size = virtio::Queue::k_max_segments;  ///< so each chain fits an empty ring
  static constexpr u32 k_bytes = 32 * 1024;

  enum class Take { Empty, Got, Broken };

  /// `memory`: k_bytes of it, which the program knows at `address`.
  ShadowRing(u8* memory, u64 address);

  /// Empties it, for a program that does not use it.
  void reset();

  // The addresses of its parts.
  u64 descriptors() const { return address_; }
  u64 available() const { return address_ + k_available; }
  u64 used() const { return address_ + k_used; }

  bool fits(const virtio::Chain& chain) const { return most_descriptors(chain) <= free_; }
  /// Makes a chain that fits available. `chain` has another one's memory afterwards.
  void put(virtio::Chain& chain);
  /// Whether the program is to be told of what was made available.
  bool wants_kick() const;
  /// The next chain that the program has used, and how many bytes it says it wrote.
  Take take(virtio::Chain& chain, u32& written);
  /// What the program did wrong, after Take::Broken.
  const char* fault() const { return fault_; }
  /// Takes a chain that the program has not used, of a program that does not go on. False: there is none.
  bool take_back(virtio::Chain& chain);
  u32 outstanding() const { return outstanding_; }

 private:
  static constexpr u32 k_available = 16 * k_size, k_used = 20 * k_size;
  struct Slot {
    virtio::Chain chain;
    u16 descriptors = 0;  ///< of the chain that begins here; 0: none does
    u16 next = 0;         ///< in the chain, or in the list of those that are free
  };
  static std::size_t most_descriptors(const virtio::Chain& c) { return c.readable.size() + c.writable.size(); }
  void write_descriptor(u16 at, const virtio::Segment& segment, bool writable);
  void release(u16 head, virtio::Chain& chain);
  Take broken(const char* why);

  u8* const memory_;
  const u64 address_;
  std::vector<Slot> slots_;
  u32 free_ = 0;
  u16 first_free_ = 0;
  u32 outstanding_ = 0;  ///< chains
  u16 available_index_ = 0, used_index_ = 0;
  const char* fault_ = "";
};

}  // namespace armvisor::devices::vhost_user
