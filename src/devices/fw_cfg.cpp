#include "devices/fw_cfg.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/bits.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_data = 0x00, k_selector = 0x08, k_dma = 0x10;
constexpr u64 k_dma_signature = 0x4746'4320'554d'4551;  ///< "QEMU CFG" in memory
constexpr u16 k_writes = 0x4000;                        ///< of a selector: the same item, to be written

// Control word of a DMA descriptor. Beside select its upper half is the selector.
constexpr u32 k_error = 1, k_read = 2, k_skip = 4, k_select = 8, k_write = 16;

/// A DMA descriptor as it lies in RAM; its fields are big-endian.
struct Descriptor {
  u32 control, length;
  u64 address;
};
static_assert(sizeof(Descriptor) == 16);

void append_big(FwCfgItems::Bytes& to, u64 value, std::size_t bytes) {
  while (bytes-- > 0) to.push_back(static_cast<u8>(value >> 8 * bytes));
}

/// The number of files, and for each its size, its selector, two bytes of nothing and its name.
FwCfgItems::Bytes directory(const std::map<std::string, FwCfgItems::Bytes>& files) {
  FwCfgItems::Bytes out;
  append_big(out, files.size(), 4);
  u16 key = static_cast<u16>(FwCfgKey::FirstFile);
  for (const auto& [name, bytes] : files) {
    append_big(out, bytes.size(), 4);
    append_big(out, key++, 2);
    append_big(out, 0, 2);
    out.insert(out.end(), name.begin(), name.end());
    out.resize(out.size() + FwCfgItems::k_most_name + 1 - name.size());
  }
  return out;
}

}  // namespace

FwCfgItems::Bytes fw_cfg_number(u64 value, std::size_t bytes) {
  FwCfgItems::Bytes out;
  for (std::size_t n = 0; n < bytes; ++n) out.push_back(static_cast<u8>(value >> 8 * n));
  return out;
}

FwCfgItems::FwCfgItems(std::map<FwCfgKey, Bytes> items, std::map<std::string, Bytes> files) : items_(std::move(items)) {
  items_[FwCfgKey::Signature] = {'Q', 'E', 'M', 'U'};
  items_[FwCfgKey::Id] = fw_cfg_number(3, 4);  // registers and DMA
  items_[FwCfgKey::FileDirectory] = directory(files);
  u16 key = static_cast<u16>(FwCfgKey::FirstFile);
  for (auto& [name, bytes] : files) items_[FwCfgKey{key++}] = std::move(bytes);
}

std::span<const u8> FwCfgItems::find(u16 key) const {
  const auto item = items_.find(FwCfgKey{static_cast<u16>(key & ~k_writes)});
  return item == items_.end() ? std::span<const u8>() : std::span(item->second);
}

void FwCfg::describe(TreeWriter& tree, const Site& site) {
  tree.begin(node_name("fw-cfg", site.regions[0].base));
  tree.text("compatible", "qemu,fw-cfg-mmio");
  tree.reg(site);
  tree.empty("dma-coherent");
  tree.end();
}

void FwCfg::select(u16 key) { left_ = items_->find(key); }

void FwCfg::skip(u64 bytes) { left_ = left_.subspan(std::min<u64>(bytes, left_.size())); }

/// Data keeps the order of its bytes whatever the size of the access; behind the end there are zeros.
u64 FwCfg::mmio_read(u64 offset, u32 size) {
  u64 value = 0;
  if (offset == k_data) {
    if (!left_.empty()) std::memcpy(&value, left_.data(), std::min<std::size_t>(size, left_.size()));
    skip(size);
  } else if (offset >= k_dma) {
    value = k_dma_signature >> (offset - k_dma) * 8 & low_mask(size * 8);
  }
  return value;
}

/// Registers are big-endian. The lower half of the descriptor's address starts the transfer.
void FwCfg::mmio_write(u64 offset, u32 size, u64 value) {
  if (offset == k_selector && size == 2) return select(__builtin_bswap16(static_cast<u16>(value)));
  if (offset == k_dma && size == 4) {
    address_ = u64{__builtin_bswap32(static_cast<u32>(value))} << 32;
  } else if (offset == k_dma + 4 && size == 4) {
    address_ |= __builtin_bswap32(static_cast<u32>(value));
    transfer();
  } else if (offset == k_dma && size == 8) {
    address_ = __builtin_bswap64(value);
    transfer();
  }
}

/// Does what the descriptor says, at once, and leaves in its control word how that went.
void FwCfg::transfer() {
  const GuestPa at(std::exchange(address_, 0));
  std::array<u8, sizeof(Descriptor)> bytes{};
  const bool done = ram_.read(at, bytes) && obey(bytes);
  const std::array<u8, 4> result = {0, 0, 0, static_cast<u8>(done ? 0 : k_error)};
  (void)ram_.write(at, result);
}

bool FwCfg::obey(std::span<const u8> descriptor) {
  Descriptor d;
  std::memcpy(&d, descriptor.data(), sizeof d);
  const u32 control = __builtin_bswap32(d.control), length = __builtin_bswap32(d.length);
  if (control & k_select) select(static_cast<u16>(control >> 16));
  if (control & k_read) return read(GuestPa(__builtin_bswap64(d.address)), length);
  if (control & (k_write | k_skip)) skip(length);
  return !(control & k_write) || length == 0;  // there is nothing that may be written
}

/// What is left of the item, then zeros.
bool FwCfg::read(GuestPa to, u32 length) {
  const auto bytes = left_.first(std::min<std::size_t>(length, left_.size()));
  const u64 zeros = length - bytes.size();
  skip(length);
  if (!bytes.empty() && !ram_.write(to, bytes)) return false;
  return zeros == 0 || ram_.clear(to + bytes.size(), zeros);
}

}  // namespace armvisor::devices
