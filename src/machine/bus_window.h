#pragma once
// The regions that lie in a window of the bus now. One thread at a time moves them while others look them up, without a
// lock: a lookup that a move came across is made again.
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/types.h"
#include "devices/device_tree.h"

namespace armvisor::machine {

/// What a region leads to; the bus knows more of it.
struct BusPort {};

class BusWindow {
 public:
  explicit BusWindow(const devices::Region& region) : region_(region) {}

  /// For so many regions in all. Before the machine runs.
  void make_room(std::size_t regions);

  bool holds(const devices::Region& region) const;
  /// False: it would overlap another.
  bool insert(const devices::Region& region, BusPort* port);
  void erase(u64 base);

  struct Placed {
    devices::Region region;
    BusPort* port;
  };
  /// (any thread) All that is in it now, by addresses.
  std::vector<Placed> placed() const;

  struct Found {
    BusPort* port = nullptr;  ///< null: nothing there
    u64 offset = 0;
  };
  /// (any thread) The region that has all of the access.
  Found find(u64 pa, u32 size) const;

 private:
  struct Entry {
    std::atomic<u64> base{0}, size{0};
    std::atomic<BusPort*> port{nullptr};
  };
  Found find_now(u64 pa, u32 size) const;
  void copy(std::size_t to, std::size_t from);
  void set(std::size_t at, const devices::Region& region, BusPort* port);

  const devices::Region region_;
  mutable std::mutex mutex_;          ///< of those who move regions
  std::atomic<u32> generation_{0};    ///< odd while the entries change
  std::unique_ptr<Entry[]> entries_;  ///< by base
  std::size_t room_ = 0;
  std::atomic<std::size_t> count_{0};
};

}  // namespace armvisor::machine
