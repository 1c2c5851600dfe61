#include "devices/device_tree.h"

#include <fmt/core.h>
#include <libfdt.h>

namespace armvisor::devices {
namespace {
constexpr std::size_t k_room = 64 * 1024;  // a board's tree needs about 8 KiB
}

std::string node_name(std::string_view name, GuestPa address) { return fmt::format("{}@{:x}", name, address.value); }

TreeWriter::TreeWriter() : blob_(k_room) {
  check(fdt_create(blob_.data(), static_cast<int>(blob_.size())));
  check(fdt_finish_reservemap(blob_.data()));
}

void TreeWriter::begin(const std::string& name) { check(fdt_begin_node(blob_.data(), name.c_str())); }
void TreeWriter::end() { check(fdt_end_node(blob_.data())); }

void TreeWriter::property(const char* name, const void* data, std::size_t size) {
  check(fdt_property(blob_.data(), name, data, static_cast<int>(size)));
}

void TreeWriter::cells(const char* name, std::span<const u32> values) {
  std::vector<u8> bytes;
  for (const u32 v : values)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<u8>(v >> shift));
  property(name, bytes.data(), bytes.size());
}

void TreeWriter::texts(const char* name, std::initializer_list<std::string_view> values) {
  std::string joined;
  for (const std::string_view v : values) joined.append(v).push_back('\0');
  property(name, joined.data(), joined.size());
}

void TreeWriter::reg(std::span<const Region> regions) {
  std::vector<u32> values;
  for (const Region& region : regions)
    for (const u64 v : {region.base.value, region.size}) {
      values.push_back(static_cast<u32>(v >> 32));
      values.push_back(static_cast<u32>(v));
    }
  cells("reg", values);
}

void TreeWriter::interrupt(const Site& site) {
  if (site.spi) cells("interrupts", {static_cast<u32>(InterruptType::Spi), *site.spi, k_level_high});
}

Result<std::vector<u8>> TreeWriter::finish() {
  check(fdt_finish(blob_.data()));
  if (error_ != 0) return Error{ErrorKind::Internal, std::string("device tree: ") + fdt_strerror(error_)};
  blob_.resize(fdt_totalsize(blob_.data()));
  return std::move(blob_);
}

}  // namespace armvisor::devices
