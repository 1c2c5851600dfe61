#pragma once
// What one block did outside its vCPU's state, for --verify (verify.cpp). While the block is interpreted its stores are
// kept here, and its later loads see them; memory does not change. Then it runs compiled: its stores are real, and its
// device accesses and readings of the counter and of interrupt inputs are answered from here.
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace armvisor::engine {

class Journal {
 public:
  void begin();   ///< the block is going to be interpreted
  void replay();  ///< it is going to run compiled
  void end();

  bool interpreting() const { return phase_ == Phase::Interpreting; }

  // --- RAM, by host address. Values are as in memory: no byte swap, no sign.
  /// What a load of `raw` from memory gives.
  u64 loaded(u64 host, u32 size, u64 raw);
  /// Likewise of a descriptor by a table walk.
  u64 seen(u64 host, u32 size, u64 raw) const { return interpreting() ? overlay(host, size, raw) : raw; }
  /// True: the store is kept here and must not be made.
  bool stored(u64 host, u32 size, u64 value);

  // --- devices, the counter and interrupt inputs
  /// The answer, if the access must not be made; `value` is given for writes and set for reads. False: an abort.
  std::optional<bool> device_access(GuestPa pa, u32 size, bool write, u64& value);
  void device_accessed(GuestPa pa, u32 size, bool write, u64 value, bool done);
  std::optional<u64> reading();
  void was_read(u64 value);

  // --- afterwards
  /// The interpreter came to a device write behind a store, which the device might look for: it did not make the
  /// write, and what it did from there on means nothing.
  bool cut() const { return cut_; }
  /// Another agent wrote what the block read, between the two runs.
  bool raced() const;
  /// What the compiled block did that the interpreter did not, or the other way round; empty: nothing.
  std::string difference() const;

 private:
  enum class Phase : u8 { Off, Interpreting, Compiled };
  struct Bytes {
    u64 host;
    u32 size;
    u64 value;
  };
  struct Access {
    GuestPa pa;
    u32 size;
    bool write, done;
    u64 value;
  };

  u64 overlay(u64 host, u32 size, u64 raw) const;
  bool is_stored(u64 host) const;

  Phase phase_ = Phase::Off;
  bool cut_ = false;
  std::vector<Bytes> loads_, stores_;
  std::vector<Access> accesses_;
  std::vector<u64> readings_;
  std::size_t next_access_ = 0, next_reading_ = 0;
  std::string difference_;
};

}  // namespace armvisor::engine
