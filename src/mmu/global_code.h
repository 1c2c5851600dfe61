#pragma once
// The execute side of the software TLB for privileged code on global pages. It is the same for all ASIDs, as entries of
// a TLB for global pages are (B3.9.1), and for all values of DACR that say the same of its domains.
//
// Maintenance that names all pages (Linux: each fork and exit, where an erratum of the Cortex-A9 may be there) changes
// nothing of a kernel's own code as a rule. So the tables are looked at once for each section or page, and if they say
// what they said before, all of it stays, as if it had been looked up right after (a host may do that: B3.10.1), and
// with it all that is known by its number.
#include <algorithm>
#include <vector>

#include "arm/page_walk.h"
#include "mmu/exec_epoch.h"
#include "mmu/space_key.h"

namespace armvisor::mmu {

class GlobalCode {
 public:
  /// `key`: of a space that it serves.
  explicit GlobalCode(const SpaceKey& key);

  /// A space of `key` may use it.
  bool serves(const SpaceKey& key) const { return key.of_global_pages() == key_ && !((key.dacr ^ dacr_) & domains_); }
  /// If it gets a page of `domain` by one value of DACR, spaces with the other may not use it any more.
  bool would_part(u32 one, u32 other, u32 domain) const { return (one ^ other) & mask_of(domain) & ~domains_; }

  u64* entries() { return entries_; }
  ExecEpoch& epoch() { return epoch_; }
  const ExecEpoch& epoch() const { return epoch_; }

  /// Enters what tables that `dacr` was in force with say of the page of `va`.
  void fill(u32 va, const arm::Translation& t, u32 dacr);
  /// Gives up everything.
  void clear();
  /// Tables say of all that it has what they said before: look(va, out) translates for execution. False when they do
  /// not, or that is too much to look at.
  template <class F>
  bool still_holds(F look) const {
    if (too_many_) return false;
    return std::ranges::all_of(seen_, [&](const Seen& s) {
      arm::Translation t;
      return look(s.va, t) && t.pa == s.pa && t.page_bits == s.page_bits && t.domain == s.domain && t.global;
    });
  }

 private:
  /// What one descriptor said, of its first page, or of the first of each MiB.
  struct Seen {
    u32 va;
    u8 page_bits, domain;
    GuestPa pa;
    bool operator==(const Seen&) const = default;
  };
  static constexpr std::size_t k_most_seen = 256;

  static u32 mask_of(u32 domain) { return 3u << (2 * domain); }

  SpaceKey key_;                ///< but for ASID and DACR
  u32 dacr_ = 0, domains_ = 0;  ///< fields of DACR that its pages depend on, and their mask
  ExecEpoch epoch_;
  u64 entries_[k_exec_entries];
  std::vector<Seen> seen_;
  bool too_many_ = false;
};

}  // namespace armvisor::mmu
