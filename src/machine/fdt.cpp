#include "machine/fdt.h"

#include <libfdt.h>

#include <cstdio>
#include <initializer_list>
#include <string_view>

#include "machine/memory_map.h"

namespace armvisor::machine {
namespace {

constexpr u32 k_clock_phandle = 0x8000, k_gic_phandle = 0x8001;
constexpr std::size_t k_tree_room = 64 * 1024;  // the generated tree needs about 8 KiB
constexpr u32 k_spi = 0, k_ppi = 1;
constexpr u32 k_level_high = 4;

/// Writes a tree in order, remembering the first error.
class TreeWriter {
 public:
  TreeWriter() : blob_(k_tree_room) {
    check(fdt_create(blob_.data(), static_cast<int>(blob_.size())));
    check(fdt_finish_reservemap(blob_.data()));
  }
  void begin(const std::string& name) { check(fdt_begin_node(blob_.data(), name.c_str())); }
  void end() { check(fdt_end_node(blob_.data())); }
  void cells(const char* name, std::initializer_list<u32> values) {
    std::vector<u8> bytes;
    for (const u32 v : values)
      for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<u8>(v >> shift));
    property(name, bytes.data(), bytes.size());
  }
  void empty(const char* name) { property(name, nullptr, 0); }
  void text(const char* name, const std::string& value) { property(name, value.c_str(), value.size() + 1); }
  /// Strings one after the other, each with its terminator.
  void texts(const char* name, std::initializer_list<std::string_view> values) {
    std::string joined;
    for (const std::string_view v : values) joined.append(v).push_back('\0');
    property(name, joined.data(), joined.size());
  }
  void property(const char* name, const void* data, std::size_t size) {
    check(fdt_property(blob_.data(), name, data, static_cast<int>(size)));
  }
  Result<std::vector<u8>> finish() {
    check(fdt_finish(blob_.data()));
    if (error_ != 0) return Error{ErrorKind::Internal, std::string("device tree: ") + fdt_strerror(error_)};
    blob_.resize(fdt_totalsize(blob_.data()));
    return std::move(blob_);
  }

 private:
  void check(int error) {
    if (error_ == 0) error_ = error;
  }
  std::vector<u8> blob_;
  int error_ = 0;
};

u32 high(u64 v) { return static_cast<u32>(v >> 32); }
u32 low(u64 v) { return static_cast<u32>(v); }

std::string unit(const char* name, u64 address) {
  char text[64];
  std::snprintf(text, sizeof text, "%s@%llx", name, static_cast<unsigned long long>(address));
  return text;
}

void reg(TreeWriter& t, GuestPa base, u64 size) {
  t.cells("reg", {high(base.value), low(base.value), high(size), low(size)});
}

void write_cpus(TreeWriter& t, const FdtConfig& config) {
  t.begin("cpus");
  t.cells("#address-cells", {1});
  t.cells("#size-cells", {0});
  for (u32 i = 0; i < config.vcpus; ++i) {
    t.begin(unit("cpu", i));
    t.text("device_type", "cpu");
    t.text("compatible", "arm,cortex-a15");
    t.cells("reg", {i});
    if (config.vcpus > 1) t.text("enable-method", "psci");
    t.end();
  }
  t.end();
}

void write_psci(TreeWriter& t) {
  t.begin("psci");
  t.texts("compatible", {"arm,psci-1.0", "arm,psci-0.2", "arm,psci"});
  t.text("method", "hvc");
  t.cells("cpu_suspend", {0x84000001});
  t.cells("cpu_off", {0x84000002});
  t.cells("cpu_on", {0x84000003});
  t.cells("migrate", {0x84000005});
  t.end();
}

void write_interrupts(TreeWriter& t, const FdtConfig& config) {
  t.begin(unit("intc", k_gic_dist_base.value));
  t.cells("phandle", {k_gic_phandle});
  t.text("compatible", "arm,cortex-a15-gic");
  t.cells("#interrupt-cells", {3});
  t.empty("interrupt-controller");
  t.cells("#address-cells", {2});
  t.cells("#size-cells", {2});
  t.empty("ranges");
  t.cells("reg", {0, low(k_gic_dist_base.value), 0, low(k_gic_dist_size), 0, low(k_gic_cpu_base.value), 0,
                  low(k_gic_cpu_size)});
  t.end();
  // Third cell of a PPI: which vCPUs have it, and level high.
  const u32 flags = ((1u << config.vcpus) - 1) << 8 | k_level_high;
  t.begin("timer");
  t.text("compatible", "arm,armv7-timer");
  t.empty("always-on");
  t.cells("interrupts", {k_ppi, k_timer_secure_ppi, flags, k_ppi, k_timer_ppi, flags, k_ppi, k_timer_virtual_ppi, flags,
                         k_ppi, k_timer_hyp_ppi, flags});
  t.end();
}

void write_primecells(TreeWriter& t) {
  t.begin("apb-pclk");
  t.cells("phandle", {k_clock_phandle});
  t.text("compatible", "fixed-clock");
  t.cells("#clock-cells", {0});
  t.cells("clock-frequency", {k_uart_clock_hz});
  t.text("clock-output-names", "clk24mhz");
  t.end();
  t.begin(unit("pl011", k_uart_base.value));
  t.texts("compatible", {"arm,pl011", "arm,primecell"});
  reg(t, k_uart_base, k_uart_size);
  t.cells("interrupts", {k_spi, k_uart_spi, k_level_high});
  t.cells("clocks", {k_clock_phandle, k_clock_phandle});
  t.texts("clock-names", {"uartclk", "apb_pclk"});
  t.end();
  t.begin(unit("pl031", k_rtc_base.value));
  t.texts("compatible", {"arm,pl031", "arm,primecell"});
  reg(t, k_rtc_base, k_rtc_size);
  t.cells("interrupts", {k_spi, k_rtc_spi, k_level_high});
  t.cells("clocks", {k_clock_phandle});
  t.text("clock-names", "apb_pclk");
  t.end();
}

void write_flash(TreeWriter& t) {
  t.begin(unit("flash", k_flash0_base.value));
  t.text("compatible", "cfi-flash");
  t.cells("reg",
          {0, low(k_flash0_base.value), 0, low(k_flash_size), 0, low(k_flash1_base.value), 0, low(k_flash_size)});
  t.cells("bank-width", {4});
  t.end();
}

void write_virtio(TreeWriter& t) {
  for (u32 n = 0; n < k_virtio_count; ++n) {
    const GuestPa base = k_virtio_base + n * k_virtio_size;
    t.begin(unit("virtio_mmio", base.value));
    t.text("compatible", "virtio,mmio");
    reg(t, base, k_virtio_size);
    t.cells("interrupts", {k_spi, k_virtio_spi + n, k_level_high});
    t.empty("dma-coherent");
    t.end();
  }
}

void write_chosen(TreeWriter& t, const FdtConfig& config) {
  t.begin("chosen");
  t.text("stdout-path", "/" + unit("pl011", k_uart_base.value));
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
  const std::string name = unit("memory", k_ram_base.value);
  if ((at = fdt_subnode_offset(t.fdt(), 0, "memory")) >= 0) fdt_del_node(t.fdt(), at);
  const int node = t.node(name.c_str());
  std::vector<u8> range = big_endian(k_ram_base.value, fdt_address_cells(t.fdt(), 0) > 1 ? 2 : 1);
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
  t.text("compatible", "linux,dummy-virt");
  t.text("model", "linux,dummy-virt");
  t.cells("#address-cells", {2});
  t.cells("#size-cells", {2});
  t.cells("interrupt-parent", {k_gic_phandle});
  t.begin(unit("memory", k_ram_base.value));
  t.text("device_type", "memory");
  reg(t, k_ram_base, config.ram_size);
  t.end();
  write_cpus(t, config);
  write_psci(t);
  write_interrupts(t, config);
  write_primecells(t);
  write_flash(t);
  write_virtio(t);
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
  std::vector<u8> blob(user.size() + k_tree_room);
  const int opened = fdt_open_into(user.data(), blob.data(), static_cast<int>(blob.size()));
  TreeEditor t(blob);
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
