#include "devices/virtio/balloon.h"

#include <algorithm>
#include <cstring>

#include "memory/discard.h"

namespace armvisor::devices::virtio {
namespace {

constexpr u64 k_stats_queue = 1u << 1, k_deflate_on_oom = 1u << 2, k_page_poison = 1u << 4, k_page_reporting = 1u << 5;
enum QueueIndex : u16 { Inflate, Deflate, Statistics, Report };
constexpr std::array<u16, 4> k_queue_sizes = {128, 128, 128, 32};
enum ConfigOffset : u32 { NumPages = 0, Actual = 4, PoisonValue = 12 };

void put(std::span<u8> config, u32 offset, u32 value) { std::memcpy(&config[offset], &value, sizeof value); }
u32 get(std::span<const u8> config, u32 offset) {
  u32 value = 0;
  std::memcpy(&value, &config[offset], sizeof value);
  return value;
}

}  // namespace

Balloon::Balloon(const BalloonOptions& options, std::function<void(u32)> changed)
    : options_(options), changed_(std::move(changed)), wanted_(options.pages) {}

u64 Balloon::features() const {
  return k_stats_queue | (options_.deflate_on_oom ? k_deflate_on_oom : 0) | (options_.page_poison ? k_page_poison : 0) |
         (options_.free_page_reporting ? k_page_reporting : 0);
}

std::span<const u16> Balloon::queue_sizes() const {
  return std::span(k_queue_sizes).first(options_.free_page_reporting ? 4 : 3);
}

// --- what driver and device say to each other

void Balloon::read_config(u32 offset, std::span<u8> out) {
  std::array<u8, k_config_bytes> config{};
  put(config, NumPages, wanted_);
  put(config, Actual, given_);
  put(config, PoisonValue, poison_);
  copy_config(config, offset, out);
}

/// The legacy interface may write a number byte by byte.
void Balloon::write_config(u32 offset, std::span<const u8> in) {
  std::array<u8, k_config_bytes> config{};
  put(config, Actual, given_);
  put(config, PoisonValue, poison_);
  for (std::size_t n = 0; n < in.size() && offset + n < config.size(); ++n) config[offset + n] = in[n];
  poison_ = get(config, PoisonValue);
  const u32 given = get(config, Actual);
  if (given_.exchange(given) != given) changed_(given);
}

void Balloon::ask_for(u32 pages) {
  wanted_ = pages;
  host().config_changed();
}

void Balloon::activate(u64 negotiated) {
  poisoned_ = (negotiated & k_page_poison) != 0;
  active_ = true;
  for (u16 n = 0; n < queue_sizes().size(); ++n) notify(n);
}

// --- pages

void Balloon::notify(u16 index) {
  if (!active_ || index >= queue_sizes().size() || index == Statistics) return;
  serve(
      index, chain_, [] { return true; },
      [this, index](const Chain& chain) {
        return index == Inflate ? inflate(chain) : index == Report ? report(chain) : deflate(chain);
      });
}

/// The numbers of pages of 4 KiB, one after the other (5.5.6.1); those that follow each other are given back together.
/// Numbers of no page are passed over.
std::optional<u32> Balloon::inflate(const Chain& chain) {
  const u64 count = chain.readable_bytes / sizeof(u32);
  if (chain.writable_bytes || count > k_most_pages) return std::nullopt;
  pages_.resize(count);
  const std::size_t bytes = count * sizeof(u32);
  chain.read(0, {reinterpret_cast<u8*>(pages_.data()), bytes});
  counters_.bytes_from_guest.add(bytes);
  std::ranges::sort(pages_);
  for (std::size_t first = 0, next = 0; first < pages_.size(); first = next) {
    u64 end = pages_[first];
    for (next = first; next < pages_.size() && pages_[next] <= end; ++next) end = u64{pages_[next]} + 1;
    (void)discard(ram(), GuestPa(u64{pages_[first]} << k_page_bits), (end - pages_[first]) << k_page_bits);
  }
  return 0;
}

/// They are there again as soon as the guest touches them.
std::optional<u32> Balloon::deflate(const Chain& chain) const {
  return chain.writable_bytes ? std::nullopt : std::optional(0u);
}

/// The buffers are the free memory (5.5.6.6).
std::optional<u32> Balloon::report(const Chain& chain) {
  if (chain.readable_bytes) return std::nullopt;
  for (const Segment& s : chain.writable)
    if (may_discard()) (void)discard(ram(), s.pa, s.length);
  return 0;
}

}  // namespace armvisor::devices::virtio
