#include "machine/fdt.h"

#include <libfdt.h>

#include "devices/arch_timer.h"
#include "devices/cfi_flash.h"
#include "devices/fixed_clock.h"
#include "devices/fw_cfg.h"
#include "devices/gic.h"
#include "devices/pci/host_bridge.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/power_key.h"
#include "devices/virtio/mmio.h"
#include "machine/psci.h"

namespace armvisor::machine {
namespace {

using devices::TreeWriter;

constexpr std::size_t k_more_room = 64 * 1024;  ///< for what is set in a user's tree

u32 high(u64 v) { return static_cast<u32>(v >> 32); }
u32 low(u64 v) { return static_cast<u32>(v); }

std::string memory_node(const Board& board) { return devices::node_name("memory", board.ram.base); }

// --- the board's tree

void write_memory(TreeWriter& t, const FdtConfig& config) {
  t.begin(memory_node(*config.board));
  t.text("device_type", "memory");
  const devices::Region ram{config.board->ram.base, config.ram_size};
  t.reg({&ram, 1});
  t.end();
}

void write_cpus(TreeWriter& t, const FdtConfig& config) {
  t.begin("cpus");
  t.cells("#address-cells", {1});
  t.cells("#size-cells", {0});
  for (u32 i = 0; i < config.vcpus; ++i) {
    t.begin(devices::node_name("cpu", GuestPa(i)));
    t.text("device_type", "cpu");
    t.text("compatible", config.cpu_compatible.empty() ? config.board->cpu_compatible : config.cpu_compatible);
    t.cells("reg", {i});
    if (config.vcpus > 1) t.text("enable-method", "psci");
    t.end();
  }
  t.end();
}

void write_device(TreeWriter& t, DeviceKind kind, const devices::Site& site) {
  switch (kind) {
#define DEVICE(kind, type, regions, interrupts, make) \
  case DeviceKind::kind:                              \
    return type::describe(t, site);
#include "machine/devices.inc"
#undef DEVICE
  }
}

void write_devices(TreeWriter& t, const FdtConfig& config) {
  for (const Placement& placement : config.board->devices)
    for (u32 n = 0; n < placement.count; ++n) {
      devices::Site site = placement.site(n);
      site.cpus = config.vcpus;
      write_device(t, placement.kind, site);
    }
}

void write_chosen(TreeWriter& t, const FdtConfig& config) {
  t.begin("chosen");
  if (const Placement* uart = config.board->find(DeviceKind::Uart))
    t.text("stdout-path", "/" + devices::Pl011::node(uart->first));
  if (config.bootargs) t.text("bootargs", *config.bootargs);
  if (config.initrd_end > config.initrd_start) {
    t.cells("linux,initrd-start", {high(config.initrd_start), low(config.initrd_start)});
    t.cells("linux,initrd-end", {high(config.initrd_end), low(config.initrd_end)});
  }
  t.property("rng-seed", config.rng_seed.data(), config.rng_seed.size());
  t.end();
}

// --- the user's own tree

/// Changes properties of an existing tree, remembering the first error.
class TreeEditor {
 public:
  explicit TreeEditor(std::vector<u8>& blob) : fdt_(blob.data()) {}
  int node(const char* name) {
    int at = fdt_subnode_offset(fdt_, 0, name);
    if (at == -FDT_ERR_NOTFOUND) at = fdt_add_subnode(fdt_, 0, name);
    if (at < 0) check(at);
    return at;
  }
  void set(int node, const char* name, const std::vector<u8>& value) {
    if (node >= 0) check(fdt_setprop(fdt_, node, name, value.data(), static_cast<int>(value.size())));
  }
  void* fdt() { return fdt_; }
  int error() const { return error_; }

 private:
  void check(int error) {
    if (error_ == 0 && error < 0) error_ = error;
  }
  void* fdt_;
  int error_ = 0;
};

std::vector<u8> big_endian(u64 value, int cells) {
  std::vector<u8> bytes;
  for (int shift = cells * 32 - 8; shift >= 0; shift -= 8) bytes.push_back(static_cast<u8>(value >> shift));
  return bytes;
}

std::vector<u8> string_value(const std::string& text) {
  std::vector<u8> bytes(text.begin(), text.end());
  bytes.push_back(0);
  return bytes;
}

/// Drops every memory node and writes one for our RAM.
void complete_memory(TreeEditor& t, const FdtConfig& config) {
  int at = 0;
  while ((at = fdt_node_offset_by_prop_value(t.fdt(), -1, "device_type", "memory", sizeof "memory")) >= 0)
    if (fdt_del_node(t.fdt(), at) != 0) break;
  const std::string name = memory_node(*config.board);
  if ((at = fdt_subnode_offset(t.fdt(), 0, "memory")) >= 0) fdt_del_node(t.fdt(), at);
  const int node = t.node(name.c_str());
  std::vector<u8> range = big_endian(config.board->ram.base.value, fdt_address_cells(t.fdt(), 0) > 1 ? 2 : 1);
  const std::vector<u8> size = big_endian(config.ram_size, fdt_size_cells(t.fdt(), 0) > 1 ? 2 : 1);
  range.insert(range.end(), size.begin(), size.end());
  t.set(node, "device_type", string_value("memory"));
  t.set(node, "reg", range);
}

void complete_chosen(TreeEditor& t, const FdtConfig& config) {
  const int node = t.node("chosen");
  if (config.bootargs) t.set(node, "bootargs", string_value(*config.bootargs));
  if (config.initrd_end > config.initrd_start) {
    t.set(node, "linux,initrd-start", big_endian(config.initrd_start, 2));
    t.set(node, "linux,initrd-end", big_endian(config.initrd_end, 2));
  }
  t.set(node, "rng-seed", {config.rng_seed.begin(), config.rng_seed.end()});
}

}  // namespace

Result<std::vector<u8>> make_fdt(const FdtConfig& config) {
  TreeWriter t;
  t.begin("");
  t.text("compatible", config.board->compatible);
  t.text("model", config.board->compatible);
  t.cells("#address-cells", {2});
  t.cells("#size-cells", {2});
  t.cells("interrupt-parent", {static_cast<u32>(devices::Phandle::Gic)});
  write_memory(t, config);
  write_cpus(t, config);
  describe_psci(t);
  write_devices(t, config);
  write_chosen(t, config);
  t.end();
  return t.finish();
}

Result<std::vector<u8>> complete_fdt(const std::vector<u8>& user, const std::string& path, const FdtConfig& config) {
  if (user.size() < sizeof(fdt_header) || fdt_check_header(user.data()) != 0 ||
      fdt_totalsize(user.data()) > user.size() || fdt_check_full(user.data(), user.size()) != 0)
    return Error{ErrorKind::BadInput, "device tree " + path +
                                          ": expected a whole flattened device tree (.dtb), found " +
                                          "something else; compile it with dtc -O dtb"};
  std::vector<u8> blob(user.size() + k_more_room);
  const int opened = fdt_open_into(user.data(), blob.data(), static_cast<int>(blob.size()));
  TreeEditor t(blob);
  if (opened == 0 && config.ram_size >> 32 != 0 && fdt_size_cells(t.fdt(), 0) < 2)
    return Error{
        ErrorKind::BadInput,
        "device tree " + path +
            ": expected two cells for sizes (#size-cells), since there is RAM of 4 GiB or more, found fewer; give "
            "the machine less with --memory, or another device tree"};
  if (opened == 0) {
    complete_memory(t, config);
    complete_chosen(t, config);
  }
  if (opened != 0 || t.error() != 0)
    return Error{ErrorKind::BadInput, "device tree " + path + ": expected to set /memory and /chosen, libfdt says: " +
                                          fdt_strerror(opened != 0 ? opened : t.error()) + "; check it with dtc"};
  fdt_pack(blob.data());
  blob.resize(fdt_totalsize(blob.data()));
  return blob;
}

void set_fdt_room(std::vector<u8>& fdt, u32 size) { fdt_set_totalsize(fdt.data(), size); }

}  // namespace armvisor::machine
