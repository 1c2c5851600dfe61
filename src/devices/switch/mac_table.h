#pragma once
// Which port of a switch an address was last seen at (IEEE 802.1D 7.8, 7.9).
#include <optional>
#include <unordered_map>

#include "base/types.h"
#include "devices/backends/network.h"

namespace armvisor::devices {

/// What a port claims costs the others nothing: each has room for so many addresses. One that is not known goes to all.
class MacTable {
 public:
  using Port = u32;
  static constexpr u32 k_most_of_port = 256;
  static constexpr u64 k_life_ms = 300'000;  ///< since it was last seen

  /// A frame came from `mac` by `port`. Times are of one clock.
  void learn(const MacAddress& mac, Port port, u64 now_ms);
  std::optional<Port> find(const MacAddress& mac, u64 now_ms) const;
  /// The port is no more.
  void forget(Port port);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Port port;
    u64 seen_ms;
  };
  void forget_old(u64 now_ms);

  std::unordered_map<u64, Entry> entries_;
  std::unordered_map<Port, u32> counts_;
  u64 looked_ms_ = 0;  ///< when old ones were last looked for
};

}  // namespace armvisor::devices
