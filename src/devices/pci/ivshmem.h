#pragma once
// Memory that the guest shares with programs of the host, or with other machines, as a region of a PCI function: QEMU's
// ivshmem-plain, revision 1 (docs/specs/ivshmem-spec.rst of QEMU). It tells nobody of what is written: the other form
// does, which is not here.
#include <memory>

#include "devices/backends/shared_memory.h"
#include "devices/pci/function.h"

namespace armvisor::devices::pci {

class Ivshmem final : public Function {
 public:
  static constexpr u32 k_registers_size = 0x100;

  /// The memory's size is a power of two, of at least 16 bytes.
  Ivshmem(std::shared_ptr<SharedMemory> memory, const Wires& wires);

 private:
  /// Those of the form that tells others; here there is nobody.
  class Registers final : public MmioDevice {
   public:
    std::string_view name() const override { return "ivshmem"; }
    u64 mmio_read(u64, u32) override { return 0; }
    void mmio_write(u64, u32, u64) override {}
  };
  class Memory final : public MmioDevice {
   public:
    explicit Memory(SharedMemory& memory) : memory_(memory) {}
    std::string_view name() const override { return "ivshmem-memory"; }
    u64 mmio_read(u64 offset, u32 size) override;
    void mmio_write(u64 offset, u32 size, u64 value) override;

   private:
    SharedMemory& memory_;
  };

  const std::shared_ptr<SharedMemory> shared_;
  Registers registers_;
  Memory memory_;
};

}  // namespace armvisor::devices::pci
