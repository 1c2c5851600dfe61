#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "qemu/machine.h"
#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

struct Made {
  Line line;
  Machine machine;
  const vmm::VmConfig& vm() const { return machine.vm; }
  devices::ChardevOptions at(devices::ChardevIndex index) const {
    devices::ChardevOptions none;
    none.kind = devices::ChardevOptions::Kind::None;
    return index ? vm().chardevs.at(*index) : none;
  }
  devices::ChardevOptions console() const { return at(vm().console); }
  std::string refused() const { return line.outcomes.first_refusal(); }
  Fate fate(std::string_view option) const {
    for (const Outcome& o : line.outcomes.all())
      if (o.option == option) return o.fate;
    ADD_FAILURE() << "no outcome for " << option;
    return Fate::Mapped;
  }
};

/// Of words with spaces between them, and -M virt -kernel z before them.
Made make(const std::string& text) {
  std::vector<std::string> words{"-M", "virt", "-kernel", "z"};
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
  Made made{read_line(words), {}};
  made.machine = make_machine(made.line);
  return made;
}

template <class Spec>
std::vector<u32> slots_of(const vmm::VmConfig& vm) {
  std::vector<u32> slots;
  for (std::size_t i = 0; i < vm.devices.size(); ++i)
    if (std::holds_alternative<Spec>(vm.devices[i])) slots.push_back(vm.seats[i].slot);
  return slots;
}

TEST(QemuLine, DefaultsAreQemus) {
  const Made m = make("");
  EXPECT_EQ(m.refused(), "");
  EXPECT_EQ(m.vm().boot.ram_size, u64{128} << 20);
  EXPECT_EQ(m.vm().boot.vcpus, 1u);
  EXPECT_TRUE(m.vm().boot.qemu_kernels);
  EXPECT_TRUE(m.vm().legacy_virtio);
  EXPECT_TRUE(m.vm().reboot);
  ASSERT_EQ(m.vm().devices.size(), 1u) << "a card on the user network";
  EXPECT_FALSE(std::get<machine::NetworkSpec>(m.vm().devices[0]).unplugged);
  EXPECT_EQ(make("-nodefaults").vm().devices.size(), 0u);
  EXPECT_EQ(make("-nic none").vm().devices.size(), 0u);
  EXPECT_EQ(make("-net none").vm().devices.size(), 0u);
}

TEST(QemuLine, OptionsHaveOneDashOrTwo) {
  EXPECT_EQ(make("--smp 4 -m 1G").vm().boot.vcpus, 4u);
  EXPECT_NE(make("---smp 4").refused(), "");
  EXPECT_NE(make("-nosuch").refused(), "");
  EXPECT_NE(make("-m").refused(), "") << "nothing behind it";
}

TEST(QemuLine, BoardsOfEveryVersionAreTheSame) {
  for (const char* type : {"virt", "virt-2.6", "virt-10.0", "virt-99.12", "type=virt"})
    EXPECT_EQ(make(std::string("-machine ") + type).refused(), "") << type;
  for (const char* type : {"vexpress-a9", "virt-", "virt-1", "virt-1.", "virtual"})
    EXPECT_NE(make(std::string("-machine ") + type).refused(), "") << type;
}

TEST(QemuLine, WhatWouldChangeTheResultIsRefused) {
  for (const char* option : {"-machine virt,secure=on",
                             "-machine virt,virtualization=true",
                             "-cpu cortex-r5f",
                             "-smp 9",
                             "-S",
                             "-semihosting-config target=gdb",
                             "-semihosting-config enable=on,chardev=nosuch",
                             "-semihosting-config enable=on,chardev=",
                             "-semihosting-config on",
                             "-semihosting-config on=on",
                             "-semihosting-config bogus=1",
                             "-semihosting-config target=bogus",
                             "-semihosting-config native",
                             "-semihosting-config enable=perhaps",
                             "-device e1000e",
                             "-drive file=d,format=floppy",
                             "-drive file=ssh://host/d",
                             "-drive file=nbd://host/d,format=qcow2",
                             "-drive file=d,cache=maybe",
                             "-drive file=d,discard=maybe",
                             "-drive file=d,detect-zeroes=maybe",
                             "-drive if=mtd,file=d",
                             "-netdev l2tpv3,id=b",
                             "-netdev l2tpv3,id=t",
                             "-global virtio-mmio.x=1",
                             "-machine virt,nosuch=1",
                             "-drive file=d,nosuch=1",
                             "-netdev user,id=n,net=192.168.0.0",
                             "-device virtio-blk-device,drive=none",
                             "-device virtio-net-device,netdev=none",
                             "-display gtk -device VGA",
                             "-daemonize",
                             "-rtc base=localtime",
                             "-d nonsense"}) {
    const Made m = make(option);
    EXPECT_NE(m.refused().find("expected"), std::string::npos) << option << ": " << m.refused();
  }
}

TEST(QemuLine, ListsOfSemihostingAreOne) {
  const auto options = [](const std::string& text) {
    const Made m = make(text);
    EXPECT_EQ(m.refused(), "") << text;
    return m.vm().semihosting ? std::optional(m.vm().semihosting->options) : std::nullopt;
  };
  for (const char* on : {"-semihosting", "-semihosting-config enable", "-semihosting-config enable=yes",
                         "-semihosting-config enable=off -semihosting", "-semihosting-config userspace=on",
                         "-semihosting-config noenable -semihosting-config enable"})
    EXPECT_TRUE(options(on)) << on;
  for (const char* off :
       {"-semihosting-config enable=off", "-semihosting-config noenable", "-semihosting -semihosting-config enable=off",
        "-semihosting-config enable=off -semihosting-config userspace=on",
        "-semihosting-config enable=off -semihosting -semihosting-config arg=a"})
    EXPECT_FALSE(options(off)) << off;
  EXPECT_TRUE(options("-semihosting-config userspace -semihosting-config target=native")->everybody);
  EXPECT_EQ(options("-semihosting-config arg=a,arg=b")->command_line, "a b");
  EXPECT_EQ(options("-semihosting-config arg=a -semihosting-config arg=b")->command_line, "a a b") << "as QEMU has it";
  EXPECT_EQ(options("-semihosting -append b")->command_line, "z b");
}

TEST(QemuLine, AConsoleOfSemihostingThatIsNowhereIsNotTheProcesssOwn) {
  const Made m = make("-chardev null,id=n -semihosting-config chardev=n");
  EXPECT_EQ(m.refused(), "");
  ASSERT_TRUE(m.vm().semihosting && m.vm().semihosting->console);
  EXPECT_EQ(m.at(m.vm().semihosting->console).kind, devices::ChardevOptions::Kind::None);
  EXPECT_FALSE(make("-semihosting").vm().semihosting->console);
}

TEST(QemuLine, GdbIsAServersClientUnlessThePlaceSaysOtherwise) {
  const Made s = make("-s -S -nographic");
  EXPECT_EQ(s.refused(), "");
  EXPECT_TRUE(s.vm().stopped) << "gdb lets it go";
  EXPECT_EQ(s.at(s.vm().gdb).socket.text(), "tcp::1234,server=on");
  EXPECT_FALSE(s.at(s.vm().gdb).socket.wait);
  const Made path = make("-gdb unix:p,server=on,wait=off");
  EXPECT_EQ(path.at(path.vm().gdb).socket.text(), "unix:p,server=on");
  const Made last = make("-s -gdb tcp:localhost:99");
  EXPECT_EQ(last.at(last.vm().gdb).socket.text(), "tcp:localhost:99,server=on");
  EXPECT_FALSE(make("-s -gdb none").vm().gdb);
  const Made named = make("-chardev socket,id=c,path=p,server=on,wait=off -gdb chardev:c");
  EXPECT_EQ(named.at(named.vm().gdb).socket.text(), "unix:p,server=on");
  EXPECT_EQ(make("-display none -gdb stdio").refused(), "");
  EXPECT_NE(make("-gdb tcp:1234").refused().find("expected"), std::string::npos);
  EXPECT_NE(make("-gdb none -S -display none").refused().find("-S"), std::string::npos);
}

TEST(QemuLine, WhatCannotChangeTheResultIsIgnored) {
  const Made m = make(
      "-accel kvm -accel tcg -enable-kvm -machine virt,usb=off -d guest_errors -smbios type=1,serial=x "
      "-device usb-kbd -boot c");
  EXPECT_EQ(m.refused(), "");
  for (const char* option : {"-accel kvm", "-enable-kvm", "-machine usb=off", "-d guest_errors", "-device usb-kbd",
                             "-boot c", "-smbios type=1,serial=x"})
    EXPECT_EQ(m.fate(option), Fate::Ignored) << option;
}

TEST(QemuLine, FilesAndDataAreLoadedAsQemuTakesThem) {
  const auto m = make(
      "-device loader,file=a.elf,cpu-num=0 -device loader,addr=0x50000000,data=0x1234,data-len=3 "
      "-device loader,addr=0x50000004,data=0x1234,data-len=4,data-be=on -smp 2 "
      "-device loader,file=b,addr=0x40000000,force-raw=on,cpu-num=1");
  EXPECT_EQ(m.refused(), "");
  const auto& loaded = m.machine.vm.boot.loaded;
  ASSERT_EQ(loaded.size(), 4u);
  EXPECT_EQ(loaded[0].path, "a.elf");
  EXPECT_EQ(loaded[0].vcpu, 0u);
  EXPECT_EQ(loaded[1].data, (std::vector<u8>{0x34, 0x12, 0}));
  EXPECT_EQ(loaded[2].data, (std::vector<u8>{0, 0, 0x12, 0x34}));
  EXPECT_TRUE(loaded[3].raw);
  for (const char* wrong :
       {"loader", "loader,addr=4", "loader,data=1,addr=4", "loader,data-len=9,data=1", "loader,force-raw=on",
        "loader,file=a,data=1,data-len=1", "loader,file=a,cpu-num=2", "loader,file=a,addr=x",
        "loader,data=1,data-len=0", "loader,file=a,nosuch=1", "loader,data-be=on,addr=4,cpu-num=0"})
    EXPECT_NE(make(std::string("-smp 2 -device ") + wrong).refused().find("expected"), std::string::npos) << wrong;
}

TEST(QemuLine, MoreRamThanThereIsRoomForIsCut) {
  EXPECT_EQ(make("-m 4G").fate("-m 4G"), Fate::Mapped);
  EXPECT_EQ(make("-m 4G").vm().boot.ram_size, u64{4} << 30);
  const Made m = make("-m 64G");
  EXPECT_EQ(m.fate("-m 64G"), Fate::Clamped);
  EXPECT_EQ(m.vm().boot.ram_size, u64{31} << 30);
  EXPECT_EQ(make("-m 3G -machine virt,highmem=off").refused(), "");
  EXPECT_NE(make("-m 3073 -machine virt,highmem=off").refused(), "");
  EXPECT_EQ(make("-m 4G -machine virt,highmem=on").refused(), "");
  EXPECT_EQ(make("-m size=512M,slots=2,maxmem=1G").vm().boot.ram_size, u64{512} << 20);
  EXPECT_EQ(make("-m 1057").vm().boot.ram_size, u64{1057} << 20);
}

TEST(QemuLine, LittleRamIsGivenAndNoneIsTheDefault) {
  EXPECT_EQ(make("-m 8").vm().boot.ram_size, u64{8} << 20);
  EXPECT_EQ(make("-m 1").vm().boot.ram_size, u64{1} << 20);
  EXPECT_EQ(make("-m 0").vm().boot.ram_size, u64{128} << 20);
  EXPECT_EQ(make("-m 64 -m slots=1,maxmem=1G").vm().boot.ram_size, u64{64} << 20) << "one list";
  for (const char* line : {"-m 512,slots=2", "-m 512,maxmem=256M", "-m 512,slots=x,maxmem=1G", "-m -1",
                           "-m 512,maxmem=512M,slots=2", "-m 512,foo=1"})
    EXPECT_NE(make(line).refused().find("expected"), std::string::npos) << line;
  Line empty = read_line({"-m", ""});
  EXPECT_EQ(empty.outcomes.all().at(0).option, "-m");
}

TEST(QemuLine, RamIsOfABackendThatIsThere) {
  const std::string backend = " -object memory-backend-ram,id=m,size=256M";
  EXPECT_EQ(make("-machine memory-backend=m" + backend).vm().boot.ram_size, u64{256} << 20);
  EXPECT_EQ(make("-m 256 -machine memory-backend=m" + backend).refused(), "");
  EXPECT_EQ(make("-m 256 -numa node,memdev=m" + backend).refused(), "");
  for (const std::string& line : {"-m 128 -machine memory-backend=m" + backend, "-machine memory-backend=x" + backend,
                                  "-numa node,memdev=m" + backend, std::string("-object memory-backend-ram,id=m")})
    EXPECT_NE(make(line).refused(), "") << line;
}

TEST(QemuLine, CpusAreCountedAsQemuDoes) {
  EXPECT_EQ(make("-smp cpus=1,cores=1,maxcpus=4").vm().boot.vcpus, 1u);
  EXPECT_EQ(make("-smp cores=2,threads=2").vm().boot.vcpus, 4u);
  EXPECT_EQ(make("-smp 4,sockets=1,cores=4,threads=1").vm().boot.vcpus, 4u);
  EXPECT_EQ(make("-smp maxcpus=2").vm().boot.vcpus, 2u);
  EXPECT_EQ(make("-smp 4,clusters=2,cores=2").refused(), "");
  EXPECT_EQ(make("-smp 2 -smp 4").vm().boot.vcpus, 4u) << "one list";
  EXPECT_EQ(make("-smp 2,maxcpus=6,cores=3").vm().boot.vcpus, 2u);
  for (const char* line : {"-smp cpus=4,sockets=3", "-smp cpus=2,maxcpus=1", "-smp 4,cores=4,threads=2", "-smp 0",
                           "-smp 4,sockets=1,cores=2,threads=1", "-smp cores=0", "-smp 4,dies=2", "-smp x",
                           "-smp 18446744073709551615", "-smp cpus=2 -smp cores=3", "-smp 2,foo=1"})
    EXPECT_NE(make(line).refused().find("expected"), std::string::npos) << line;
}

TEST(QemuLine, DevicesOnMmioTakeTheLastFreeSlotUnlessTheyNameOne) {
  const Made m = make(
      "-nic none -drive if=none,file=a,id=a -drive if=none,file=b,id=b -device virtio-blk-device,drive=b "
      "-device virtio-blk-device,drive=a -device virtio-rng-device,bus=virtio-mmio-bus.0");
  EXPECT_EQ(m.refused(), "");
  EXPECT_EQ(slots_of<machine::DiskSpec>(m.vm()), (std::vector<u32>{31, 30}));
  EXPECT_EQ(std::get<machine::DiskSpec>(m.vm().devices[0]).path, "b");
  EXPECT_EQ(slots_of<machine::EntropySpec>(m.vm()), std::vector<u32>{0});
  EXPECT_NE(
      make("-device virtio-rng-device,bus=virtio-mmio-bus.3 -device virtio-rng-device,bus=virtio-mmio-bus.3").refused(),
      "");
}

TEST(QemuLine, DevicesOnPciTakeTheFirstSlotsInTheirOrder) {
  const Made m =
      make("-drive file=c -drive if=none,file=a,id=a -device virtio-blk-pci,drive=a -nic user,mac=52:54:00:00:00:01");
  EXPECT_EQ(slots_of<machine::NetworkSpec>(m.vm()), std::vector<u32>{1}) << "cards of the board come first";
  EXPECT_EQ(slots_of<machine::DiskSpec>(m.vm()), (std::vector<u32>{2, 3}));
  EXPECT_EQ(std::get<machine::DiskSpec>(m.vm().devices[1]).path, "a");
  EXPECT_EQ(std::get<machine::DiskSpec>(m.vm().devices[2]).path, "c") << "-drive without -device comes last";
}

TEST(QemuLine, AGpuIsThereWithAndWithoutAWindow) {
  for (const char* display : {" -nographic", " -display none", "", " -display gtk"}) {
    const Made m = make(std::string("-nodefaults -serial null -device virtio-gpu-pci,xres=800,yres=600 "
                                    "-device virtio-gpu-device") +
                        display);
    EXPECT_EQ(m.refused(), "") << display;
    EXPECT_EQ(std::get<machine::GpuSpec>(m.vm().devices.at(0)).width, 800u);
    EXPECT_EQ(std::get<machine::GpuSpec>(m.vm().devices.at(1)).height, 800u);
    EXPECT_EQ(slots_of<machine::GpuSpec>(m.vm()), (std::vector<u32>{1, 31}));
    EXPECT_FALSE(m.vm().seats.at(0).form.legacy);
  }
  EXPECT_NE(make("-device virtio-gpu-pci,xres=x").refused().find("expected"), std::string::npos);
}

TEST(QemuLine, SharedMemoryAndTheDeviceForEducationAreOnPci) {
  const Made m = make(
      "-nodefaults -device edu,dma_mask=0xffffffff -object memory-backend-file,id=s,size=4M,mem-path=/f,share=on "
      "-device ivshmem-plain,memdev=s,id=shmem0,addr=0xb -object memory-backend-memfd,id=p,size=64K "
      "-device ivshmem-plain,memdev=p,master=on");
  EXPECT_EQ(m.refused(), "");
  EXPECT_EQ(std::get<machine::EduSpec>(m.vm().devices.at(0)).dma_mask, 0xffffffffu);
  const auto& file = std::get<machine::SharedMemorySpec>(m.vm().devices.at(1));
  EXPECT_EQ(file.path, "/f");
  EXPECT_EQ(file.size, u64{4} << 20);
  EXPECT_TRUE(file.shared);
  EXPECT_EQ(slots_of<machine::SharedMemorySpec>(m.vm()), (std::vector<u32>{11, 2}));
  EXPECT_EQ(m.vm().seats.at(1).id, "shmem0");
  EXPECT_EQ(m.vm().seats.at(1).type, "ivshmem-plain");
  EXPECT_EQ(std::get<machine::SharedMemorySpec>(m.vm().devices.at(2)).path, "");
  for (const char* wrong : {"-device ivshmem-plain", "-device ivshmem-plain,memdev=x", "-device edu,dma_mask=x",
                            "-device edu,x=1", "-object memory-backend-ram,id=o,size=3M -device ivshmem-plain,memdev=o",
                            "-object memory-backend-file,id=o,size=1M",
                            "-object memory-backend-file,id=o,size=128M,mem-path=/f -machine memory-backend=o"})
    EXPECT_NE(make(wrong).refused().find("expected"), std::string::npos) << wrong;
}

/// "SLOT.FUNCTION" of each device on PCI, with what is special about it.
std::string pci_places(const Made& m) {
  std::string places;
  for (const machine::Seat& seat : m.vm().seats) {
    if (seat.bus != machine::Seat::Bus::Pci) continue;
    places += (places.empty() ? "" : " ") + std::to_string(seat.slot) + "." + std::to_string(seat.function);
    if (seat.multifunction) places += "+";
    if (!seat.form.legacy) places += " modern";
    if (!seat.form.modern) places += " legacy";
  }
  return places;
}

TEST(QemuLine, DevicesOnPciAreWhereTheySay) {
  const auto places = [](const std::string& text) { return pci_places(make("-nodefaults " + text)); };
  EXPECT_EQ(places("-device virtio-rng-pci,addr=5 -device virtio-rng-pci -device virtio-rng-pci,addr=0x1f"),
            "5.0 1.0 31.0");
  EXPECT_EQ(places("-device virtio-rng-pci,addr=1 -device virtio-rng-pci,bus=pcie.0"), "1.0 2.0");
  EXPECT_EQ(places("-device virtio-rng-pci,addr=2.0,multifunction=on -device virtio-rng-pci,addr=2.7"), "2.0+ 2.7");
  EXPECT_EQ(places("-device nec-usb-xhci -device qemu-xhci -device usb-kbd -device virtio-rng-pci"), "3.0")
      << "what does nothing here keeps its slot";
  EXPECT_EQ(places("-device virtio-rng-pci,disable-legacy=on -device virtio-rng-pci-non-transitional"),
            "1.0 modern 2.0 modern");
  EXPECT_EQ(places("-device virtio-rng-pci,disable-modern=on -device virtio-rng-pci-transitional"), "1.0 legacy 2.0");
  for (const char* wrong :
       {"addr=0", "addr=20", "addr=1.8", "addr=1.1", "addr=x", "addr=1.", "disable-legacy=on,disable-modern=on"})
    EXPECT_NE(make(std::string("-nodefaults -device virtio-rng-pci,") + wrong).refused(), "") << wrong;
  EXPECT_NE(make("-nodefaults -device virtio-rng-pci,addr=3 -device virtio-rng-pci,addr=3").refused(), "");
  const Made behind = make("-nodefaults -device pcie-root-port,id=rp -device virtio-rng-pci,bus=rp,addr=0");
  EXPECT_EQ(pci_places(behind), "2.0");
  EXPECT_EQ(behind.fate("-device bus=rp"), Fate::Clamped);
}

TEST(QemuLine, FoldersAreShared) {
  const Made m = make(
      "-nodefaults -fsdev local,id=f,path=a,security_model=mapped,fmode=0640,dmode=488,writeout=immediate -device "
      "virtio-9p-device,fsdev=f,mount_tag=one -virtfs "
      "local,path=b,mount_tag=two,security_model=none,readonly=on,multidevs=remap,throttling.bps-total=1 -device "
      "virtio-9p-pci,fsdev=f,mount_tag=three");
  EXPECT_EQ(m.refused(), "");
  ASSERT_EQ(m.vm().devices.size(), 3u);
  const auto& one = std::get<machine::ShareSpec>(m.vm().devices[0]);
  const auto& two = std::get<machine::ShareSpec>(m.vm().devices[1]);
  EXPECT_EQ(one.path, "a");
  EXPECT_EQ(one.tag, "one");
  EXPECT_EQ(one.model, devices::ninep::SecurityModel::MappedXattr);
  EXPECT_EQ(one.file_mode, 0640u);
  EXPECT_EQ(one.folder_mode, 0750u);
  EXPECT_TRUE(one.write_out);
  EXPECT_EQ(one.others, devices::ninep::OtherDevices::Warn);
  EXPECT_EQ(two.tag, "two");
  EXPECT_TRUE(two.read_only);
  EXPECT_EQ(two.others, devices::ninep::OtherDevices::Remap);
  EXPECT_EQ(m.vm().seats[0].bus, machine::Seat::Bus::Mmio);
  EXPECT_EQ(m.vm().seats[1].bus, machine::Seat::Bus::Pci);
  // Devices of one tag are made, as by QEMU; what becomes of the second is the guest's choice.
  for (const char* second : {"fsdev=f", "fsdev=g"}) {
    const Made twice =
        make(std::string("-nodefaults -fsdev local,id=f,path=a,security_model=none -fsdev "
                         "local,id=g,path=b,security_model=none -device virtio-9p-pci,fsdev=f,mount_tag=t "
                         "-device virtio-9p-device,mount_tag=t,") +
             second);
    EXPECT_EQ(twice.refused(), "");
    EXPECT_EQ(twice.vm().devices.size(), 2u);
  }
}

TEST(QemuLine, FoldersThatQemuDoesNotShareAreRefused) {
  for (const char* line :
       {"-virtfs local,path=a,mount_tag=t", "-virtfs local,path=a,security_model=none",
        "-virtfs local,mount_tag=t,security_model=none", "-virtfs synth,mount_tag=t", "-fsdev proxy,id=f,socket=s",
        "-fsdev local,path=a,security_model=none", "-fsdev local,id=f,path=a,security_model=some",
        "-fsdev local,id=f,path=a,security_model=none,fmode=0644",
        "-fsdev local,id=f,path=a,security_model=mapped,fmode=0888",
        "-fsdev local,id=f,path=a,security_model=none,multidevs=all", "-device virtio-9p-device,fsdev=f,mount_tag=t",
        "-fsdev local,id=f,path=a,security_model=none -device virtio-9p-device,fsdev=f",
        "-fsdev local,id=f,path=a,security_model=none -device virtio-9p-device,fsdev=f,mount_tag="
        "01234567890123456789012345678901",
        "-fsdev local,id=f,path=a,security_model=none,other=x",
        "-virtfs local,path=a,mount_tag=t,security_model=none -virtfs local,path=b,mount_tag=t,security_model=none"})
    EXPECT_NE(make(std::string("-nodefaults ") + line).refused(), "") << line;
  EXPECT_EQ(make("-nodefaults -fsdev local,id=f,path=a,security_model=none").refused(), "") << "nobody has it";
}

TEST(QemuLine, DisksOnScsiHaveQemusAddresses) {
  const std::string drives =
      "-nodefaults -drive if=none,id=a,file=a,serial=S -drive if=none,id=b,file=b -drive "
      "if=none,id=c,file=c,media=cdrom ";
  const Made m =
      make(drives +
           "-device virtio-scsi-pci,id=s0 -device virtio-scsi-device -device scsi-hd,drive=a,bus=s0.0,scsi-id=2 "
           "-device scsi-cd,drive=c,bus=s0.0 -device scsi-hd,drive=b,lun=3,device_id=name");
  EXPECT_EQ(m.refused(), "");
  ASSERT_EQ(m.vm().devices.size(), 2u);
  const auto& first = std::get<machine::ScsiSpec>(m.vm().devices[0]).units;
  const auto& second = std::get<machine::ScsiSpec>(m.vm().devices[1]).units;
  ASSERT_EQ(first.size(), 2u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(first[0].address, (devices::virtio::ScsiAddress{2, 0}));
  EXPECT_EQ(first[0].disk.serial, "S");
  EXPECT_EQ(first[1].address, (devices::virtio::ScsiAddress{0, 0}));
  EXPECT_TRUE(first[1].cd_rom && first[1].disk.read_only);
  EXPECT_EQ(first[1].name, "c");
  EXPECT_EQ(second[0].address, (devices::virtio::ScsiAddress{0, 3}));
  EXPECT_EQ(second[0].name, "name");
  EXPECT_EQ(m.vm().seats[0].bus, machine::Seat::Bus::Pci);
  EXPECT_EQ(m.vm().seats[1].slot, 31u);
  EXPECT_NE(make(drives + "-device scsi-hd,drive=a").refused(), "") << "no host";
  const Made newest = make(drives + "-device virtio-scsi-pci -device virtio-scsi-pci -device scsi-hd,drive=a");
  EXPECT_EQ(std::get<machine::ScsiSpec>(newest.vm().devices[1]).units.size(), 1u) << "as in QEMU";
  const std::string host = drives + "-device virtio-scsi-pci,id=s0 ";
  EXPECT_EQ(make(host + "-device scsi-hd,drive=a,rotation_rate=1,bootindex=2,write-cache=on").refused(), "");
  EXPECT_NE(make(host + "-device scsi-hd,drive=a,vendor=ME").refused(), "") << "it would show";
  EXPECT_NE(make(host + "-device scsi-hd,drive=a,bus=s1.0").refused(), "");
  EXPECT_NE(make(host + "-device scsi-hd,drive=a,scsi-id=256").refused(), "");
  EXPECT_NE(make(host + "-device scsi-hd,drive=a,channel=1").refused(), "");
  EXPECT_NE(make(host + "-device scsi-hd,drive=a,scsi-id=1,lun=1 -device scsi-hd,drive=b,scsi-id=1,lun=1").refused(),
            "");
  EXPECT_EQ(make(host + "-device scsi-hd,drive=a,scsi-id=1 -device scsi-hd,drive=b,scsi-id=1").refused(), "");
}

TEST(QemuLine, DisksAreNamedInManyWays) {
  const Made m = make(
      "-nic none -hdb one -cdrom two three.img -drive file=three,format=raw,readonly=on "
      "-blockdev driver=file,filename=five,node-name=f -blockdev driver=raw,file=f,node-name=d,read-only=true "
      "-device virtio-blk-device,drive=d,serial=S5");
  EXPECT_EQ(m.refused(), "");
  std::vector<std::string> texts;
  for (const auto& device : m.vm().devices) {
    const auto& disk = std::get<machine::DiskSpec>(device);
    texts.push_back(disk.path + (disk.read_only ? ",ro" : "") + (disk.serial.empty() ? "" : "," + disk.serial));
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"five,ro,S5", "one", "two,ro", "three.img", "three,ro"}));
}

TEST(QemuLine, DisksAreOfTheFormatAndCacheThatTheLineSays) {
  const Made m = make(
      "-nic none -drive file=a,if=none,id=a,format=qcow2,cache=none,discard=unmap -device virtio-blk-device,drive=a "
      "-drive file=nbd://host/e,if=none,id=b,cache.writeback=off,cache.direct=on,snapshot=off "
      "-device virtio-blk-device,drive=b "
      "-blockdev driver=file,filename=c,node-name=f,cache.no-flush=on "
      "-blockdev driver=vmdk,file=f,node-name=c,detect-zeroes=unmap -device virtio-blk-device,drive=c "
      "-hda d -snapshot");
  EXPECT_EQ(m.refused(), "");
  std::vector<std::string> texts;
  for (const auto& device : m.vm().devices) {
    const auto& disk = std::get<machine::DiskSpec>(device);
    texts.push_back(disk.path + " " + disk.format + " " + std::string(devices::name(disk.cache)) +
                    (disk.snapshot ? " snapshot" : "") + (disk.unmap ? " unmap" : "") +
                    (disk.detect_zeroes.empty() ? "" : " zeroes=" + disk.detect_zeroes));
  }
  std::ranges::sort(texts);
  EXPECT_EQ(texts, (std::vector<std::string>{"a qcow2 none snapshot unmap", "c vmdk unsafe zeroes=unmap",
                                             "d auto writeback snapshot", "nbd://host/e auto directsync"}));
}

Made make_flash(const std::string& text) {
  std::vector<std::string> words{"-M", "virt"};
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
  Made made{read_line(words), {}};
  made.machine = make_machine(made.line);
  return made;
}

TEST(QemuLine, FlashIsOfDrivesAndNodes) {
  for (const char* text :
       {"-drive if=pflash,format=raw,file=code,readonly=on -drive if=pflash,format=raw,file=vars",
        "-drive if=pflash,format=raw,file=vars,unit=1 -drive if=pflash,format=raw,file=code,unit=0,readonly=on",
        "-drive if=pflash,format=raw,file=vars,index=1 -drive if=pflash,format=raw,file=code,index=0,readonly=on",
        "-M pflash0=c,pflash1=v -blockdev driver=file,node-name=c,filename=code,read-only=on -blockdev "
        "driver=file,node-name=f,filename=vars -blockdev driver=raw,node-name=v,file=f",
        "-M pflash0=c -drive if=none,id=c,format=raw,readonly=on,file=code -drive "
        "if=pflash,format=raw,unit=1,file=vars"}) {
    const Made m = make_flash(text);
    EXPECT_EQ(m.refused(), "") << text;
    const auto& flash = m.vm().boot.flash;
    ASSERT_EQ(flash.size(), 2u) << text;
    EXPECT_EQ(flash[0].path, "code") << text;
    EXPECT_TRUE(flash[0].read_only);
    EXPECT_EQ(flash[1].path, "vars") << text;
    EXPECT_FALSE(flash[1].read_only || flash[1].snapshot);
    EXPECT_EQ(flash[1].format, "raw");
    EXPECT_EQ(m.vm().devices.size(), 1u) << "the card alone: flash is no disk";
  }
  EXPECT_EQ(make_flash("-pflash a -pflash b").vm().boot.flash.at(1).path, "b");
  EXPECT_TRUE(make_flash("-pflash a").vm().boot.flash.at(0).or_read_only) << "as QEMU";
  EXPECT_EQ(make_flash("-bios code -drive if=pflash,unit=1,file=vars").vm().boot.flash.at(1).path, "vars");
  EXPECT_EQ(make("-drive if=pflash,unit=1,file=vars").vm().boot.flash.at(1).path, "vars") << "beside a kernel";
  EXPECT_TRUE(make_flash("-drive if=pflash,unit=1,file=vars").vm().boot.empty_flash) << "nothing is in the first bank";
  EXPECT_FALSE(make_flash("-drive if=pflash,unit=0,file=code").vm().boot.empty_flash);
  EXPECT_TRUE(make_flash("-drive if=pflash,unit=0,file=code").vm().boot.blank_flash);
}

TEST(QemuLine, FlashIsASnapshotAsDisksAre) {
  EXPECT_TRUE(make_flash("-drive if=pflash,file=a,snapshot=on").vm().boot.flash[0].snapshot);
  EXPECT_TRUE(make_flash("-snapshot -drive if=pflash,file=a").vm().boot.flash[0].snapshot);
  EXPECT_FALSE(make_flash("-snapshot -drive if=pflash,file=a,snapshot=off").vm().boot.flash[0].snapshot);
  EXPECT_FALSE(
      make_flash("-snapshot -M pflash0=n -blockdev driver=file,node-name=n,filename=a").vm().boot.flash[0].snapshot);
}

TEST(QemuLine, FlashThatQemuRefusesOrThatIsNotHereIsRefused) {
  for (const char* text :
       {"-drive if=pflash,file=a,unit=2", "-drive if=pflash,file=a,unit=0 -drive if=pflash,file=b,unit=0",
        "-bios f -drive if=pflash,file=a", "-M pflash0=n", "-M pflash2=n -blockdev driver=file,node-name=n,filename=a",
        "-M pflash0=n -blockdev driver=file,node-name=n,filename=a -drive if=pflash,file=b,unit=0",
        "-M pflash0=n,pflash1=n -blockdev driver=file,node-name=n,filename=a",
        "-M pflash0=n -blockdev driver=file,node-name=n,filename=a -device virtio-blk-device,drive=n",
        "-drive if=pflash,file=a,id=x -device virtio-blk-device,drive=x", "-M pflash1=x -drive if=pflash,file=a,id=x",
        "-drive if=pflash,format=qcow2,file=a", "-drive if=pflash,file=nbd://host/export"})
    EXPECT_NE(make_flash(text).refused(), "") << text;
}

TEST(QemuLine, ModelsOfCpus) {
  using arm::CpuModel;
  EXPECT_FALSE(make("").vm().boot.cpu) << "the board's";
  for (const auto& [text, model] : {std::pair{"cortex-a15", CpuModel::CortexA15},
                                    {"cortex-a7", CpuModel::CortexA7},
                                    {"cortex-a7-arm-cpu", CpuModel::CortexA7},
                                    {"max", CpuModel::Max},
                                    {"host", CpuModel::Max}}) {
    const std::string option = std::string("-cpu ") + text;
    const Made m = make(option);
    EXPECT_EQ(m.refused(), "") << text;
    EXPECT_EQ(m.vm().boot.cpu, model) << text;
    EXPECT_EQ(m.fate(option), model == CpuModel::Max ? Fate::Clamped : Fate::Mapped) << text;
  }
  EXPECT_EQ(make("-cpu cortex-a7,pmu=on").vm().boot.cpu, CpuModel::CortexA7);
  EXPECT_EQ(make("-cpu cortex-a7 -cpu cortex-a15").vm().boot.cpu, CpuModel::CortexA15);
  for (const char* text : {"-cpu cortex-a53", "-cpu -arm-cpu", "-cpu a15"}) EXPECT_NE(make(text).refused(), "") << text;
}

TEST(QemuLine, FirmwareIsGivenTheKernel) {
  for (const char* text :
       {"-bios f", "-drive if=pflash,file=a", "-M pflash0=n -blockdev driver=file,node-name=n,filename=a"}) {
    const Made m = make(std::string(text) + " -initrd i -append x");
    EXPECT_EQ(m.refused(), "") << text;
    EXPECT_TRUE(m.vm().boot.kernel_for_firmware) << text;
    EXPECT_EQ(m.vm().boot.kernel, "z");
    EXPECT_EQ(m.vm().boot.initrd, "i");
  }
  EXPECT_FALSE(make("").vm().boot.kernel_for_firmware);
  EXPECT_FALSE(make("-drive if=pflash,file=a,unit=1").vm().boot.kernel_for_firmware) << "there is no firmware in it";
  EXPECT_FALSE(make_flash("-drive if=pflash,file=a").vm().boot.kernel_for_firmware);
  EXPECT_NE(make("-bios f -smbios type=1,serial=x").refused(), "") << "firmware hands tables on";
}

TEST(QemuLine, FilesOfFwCfgAreNamedAsInQemu) {
  const Made m = make("-fw_cfg opt/a,string=x,,y -fw_cfg name=opt/b,file=f -fw_cfg file=g,name=other");
  EXPECT_EQ(m.refused(), "");
  const auto& files = m.vm().boot.items.files;
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].name, "opt/a");
  EXPECT_EQ(files[0].content, "x,y");
  EXPECT_EQ(files[1].path, "f");
  EXPECT_EQ(files[2].name, "other");
  EXPECT_EQ(m.fate("-fw_cfg name=opt/b,file=f"), Fate::Mapped);
  EXPECT_EQ(m.fate("-fw_cfg file=g,name=other"), Fate::Clamped) << "QEMU warns";
  const std::string longest(55, 'n');
  EXPECT_EQ(make("-fw_cfg " + longest + ",string=x").refused(), "");
  for (const char* text : {"opt/a", "opt/a,string=", "string=x", "opt/a,file=f,string=x", "opt/a,gen_id=x",
                           "opt/a,string=x,foo=y", "name=,string=x", "{\"name\":\"opt/a\"}"})
    EXPECT_NE(make(std::string("-fw_cfg ") + text).refused(), "") << text;
  EXPECT_NE(make("-fw_cfg n" + longest + ",string=x").refused(), "");
}

TEST(QemuLine, WhatFirmwareIsToldByFwCfg) {
  const Made m = make(
      "-uuid 01234567-89ab-cdef-0123-456789abcdef -boot menu=on,splash-time=500 -boot reboot-timeout=7 -nographic");
  EXPECT_EQ(m.refused(), "");
  const machine::FirmwareOptions& told = m.vm().boot.items;
  EXPECT_EQ(told.uuid[0], 0x01);
  EXPECT_EQ(told.uuid[15], 0xef);
  EXPECT_TRUE(told.boot_menu);
  EXPECT_EQ(told.menu_wait_ms, 500);
  EXPECT_EQ(told.fail_wait_ms, 7u);
  EXPECT_FALSE(told.graphics);
  EXPECT_TRUE(make("-display none").vm().boot.items.graphics) << "as QEMU's item has it";
  EXPECT_EQ(make("-boot reboot-timeout=-1").vm().boot.items.fail_wait_ms, ~0u);
  for (const char* text : {"-boot splash-time=65536", "-boot splash-time=-1", "-boot reboot-timeout=65536",
                           "-boot reboot-timeout=-2", "-boot menu=maybe", "-boot splash-time=0x100000005"})
    EXPECT_NE(make(text).refused(), "") << text;
}

/// What fw_cfg of QEMU 10 has of the same lines.
TEST(QemuLine, FirmwareIsToldWhatToBootFromInTheOrderOfBootindex) {
  const auto order = [](const std::string& text) {
    const Made m = make(text);
    EXPECT_EQ(m.refused(), "") << text;
    return m.vm().boot.items.boot_order;
  };
  const auto file = [](std::string text) { return text + '\0'; };
  const std::string drives = "-nic none -drive if=none,id=a,file=a,format=raw -drive if=none,id=b,file=b,format=raw ";
  EXPECT_EQ(order(drives), "");
  EXPECT_EQ(order(drives + "-device virtio-blk-device,drive=a,bootindex=3 -device virtio-blk-pci,drive=b,bootindex=1 "
                           "-device virtio-net-device,bootindex=2 -device virtio-net-pci,bootindex=7"),
            file("/pci@ffffffffffffffff/scsi@1/disk@0,0\n/virtio-mmio@000000000a003c00/ethernet-phy@0\n"
                 "/virtio-mmio@000000000a003e00/disk@0,0\n/pci@ffffffffffffffff/ethernet@2/ethernet-phy@0"));
  EXPECT_EQ(order(drives + "-device virtio-scsi-pci -device scsi-hd,drive=a,bootindex=3 "
                           "-device scsi-cd,drive=b,bootindex=1,lun=2,scsi-id=4 -device e1000,bootindex=0"),
            file("/pci@ffffffffffffffff/ethernet@2/ethernet-phy@0\n"
                 "/pci@ffffffffffffffff/scsi@1/channel@0/disk@4,2\n"
                 "/pci@ffffffffffffffff/scsi@1/channel@0/disk@0,0"));
  EXPECT_EQ(order(drives + "-device virtio-scsi-device -device scsi-hd,drive=a,bootindex=3 "
                           "-device virtio-blk-pci,drive=b,bootindex=-1"),
            file("/virtio-mmio@000000000a003e00/channel@0/disk@0,0"));
  EXPECT_EQ(order(drives + "-device virtio-blk-pci,drive=b,addr=1f.0,multifunction=on "
                           "-device virtio-blk-pci,drive=a,bootindex=3,addr=1f.3 -boot strict=on"),
            file("/pci@ffffffffffffffff/scsi@1f,3/disk@0,0\nHALT"));
  for (const char* wrong :
       {"-device virtio-blk-pci,drive=a,bootindex=1 -device virtio-blk-pci,drive=b,bootindex=1",
        "-device virtio-blk-pci,drive=a,bootindex=2147483648", "-device virtio-rng-pci,bootindex=1"})
    EXPECT_NE(make(drives + wrong).refused(), "") << wrong;
}

TEST(QemuLine, PciHasAWindowAbove4GiBUnlessItIsTurnedOff) {
  const auto board = [](const std::string& text) { return make(text).vm().boot.board; };
  EXPECT_EQ(board("-M virt"), &machine::virt_board(false, machine::VirtPci::High));
  EXPECT_EQ(board("-M virt,highmem=on -serial stdio -serial null"), &machine::virt_board(true, machine::VirtPci::High));
  for (const char* off : {"-M virt,highmem=off", "-M virt,highmem-mmio=off"})
    EXPECT_EQ(board(off), &machine::virt_board(false, machine::VirtPci::Low)) << off;
}

TEST(QemuLine, NetworksAreNamedInManyWays) {
  for (const char* text :
       {"-net nic,model=virtio,macaddr=52:54:00:00:00:01 -net user,hostfwd=tcp::2222-:22",
        "-nic user,mac=52:54:00:00:00:01,hostfwd=tcp::2222-:22",
        "-netdev user,id=n,hostfwd=tcp::2222-:22 -device virtio-net-pci,netdev=n,mac=52:54:00:00:00:01"}) {
    const Made m = make(text);
    EXPECT_EQ(m.refused(), "") << text;
    ASSERT_EQ(m.vm().devices.size(), 1u) << text;
    const auto& spec = std::get<machine::NetworkSpec>(m.vm().devices[0]);
    EXPECT_FALSE(spec.unplugged);
    EXPECT_EQ(spec.network.mac, (devices::MacAddress{0x52, 0x54, 0, 0, 0, 1})) << text;
    ASSERT_EQ(spec.network.forwards.size(), 1u) << text;
    EXPECT_EQ(spec.network.forwards[0].host_port, 2222);
  }
  const Made m = make("-device virtio-net-pci -netdev user,id=unused -device virtio-net-device");
  ASSERT_EQ(m.vm().devices.size(), 2u);
  EXPECT_TRUE(std::get<machine::NetworkSpec>(m.vm().devices[0]).unplugged);
  EXPECT_EQ(m.fate("-netdev user,id=unused"), Fate::Ignored);
}

TEST(QemuLine, TheUserNetworkHasBothVersionsOfIpAsInQemu) {
  const auto network = [](const char* options) {
    const Made m = make(std::string("-nic user") + options);
    EXPECT_EQ(m.refused(), "") << options;
    return std::get<machine::NetworkSpec>(m.vm().devices.at(0)).network;
  };
  const auto versions = [&](const char* options) {
    const auto n = network(options);
    return std::string(n.ipv4 ? "4" : "") + (n.ipv6 ? "6" : "");
  };
  EXPECT_EQ(versions(""), "46");
  EXPECT_EQ(versions(",ipv6=off"), "4");
  EXPECT_EQ(versions(",ipv4=off"), "6");
  EXPECT_EQ(versions(",ipv4=on"), "4") << "who names one wants that one";
  EXPECT_EQ(versions(",ipv6=on"), "6");
  EXPECT_EQ(versions(",ipv4=on,ipv6=on"), "46");
  const auto n = network(",ipv6-prefix=fd00::,ipv6-prefixlen=48,ipv6-host=fd00:0:0:1::9,ipv6-dns=2001:db8::1");
  EXPECT_EQ(devices::ip_text(n.network6), "[fd00::]");
  EXPECT_EQ(n.network6_bits, 48u);
  EXPECT_EQ(devices::ip_text(n.host6), "[fd00:0:0:1::9]");
  EXPECT_EQ(devices::ip_text(n.name_server6), "[2001:db8::1]");
  EXPECT_EQ(devices::ip_text(network(",ipv6-net=fd01::/64").host6), "[fd01::2]");
}

TEST(QemuLine, TheUserNetworkIsAsItsOptionsSay) {
  const Made m = make(
      "-nic user,net=192.168.5.0/24,dhcpstart=192.168.5.20,hostname=vm,tftp=folder,dnssearch=a,dnssearch=b,"
      "hostfwd=tcp::2222-:22,hostfwd=udp::53-192.168.5.30:53,tftp-server-name=boot,"
      "guestfwd=tcp:192.168.5.100:80-cmd:cat");
  EXPECT_EQ(m.refused(), "");
  const auto& network = std::get<machine::NetworkSpec>(m.vm().devices.at(0)).network;
  EXPECT_EQ(devices::ipv4_text(network.network), "192.168.5.0");
  EXPECT_EQ(devices::ipv4_text(network.netmask), "255.255.255.0");
  EXPECT_EQ(devices::ipv4_text(network.host), "192.168.5.2");
  EXPECT_EQ(devices::ipv4_text(network.name_server), "192.168.5.3");
  EXPECT_EQ(devices::ipv4_text(network.first_lease), "192.168.5.20");
  EXPECT_EQ(devices::ip_text(network.forwards[0].guest_address), "192.168.5.20");
  EXPECT_EQ(devices::ip_text(network.forwards[1].guest_address), "192.168.5.30");
  EXPECT_EQ(network.tftp_folder, "folder");
  EXPECT_EQ(network.tftp_server, "boot");
  EXPECT_EQ(network.guest_forwards.at(0).command, "cat");
  for (const char* wrong :
       {"guestfwd=tcp:10.0.2.100:80-", "guestfwd=tcp:10.0.2.100:80-cmd:", "guestfwd=tcp:h:80-null", "guestfwd=x",
        "guestfwd=tcp:10.0.2.100:80-mon:stdio", "guestfwd=tcp:10.0.2.100:80-chardev:none", "smb=/f",
        "ipv6-net=fd00::/127", "ipv4=off,ipv6=off", "ipv6=on,net=10.0.3.0/24", "ipv6=off,ipv6-host=fec0::2",
        "ipv4=on,ipv6-dns=fec0::3", "ipv6-host=fd00::2", "ipv6-prefixlen=x", "ipv6-prefix=10.0.0.0"})
    EXPECT_NE(make(std::string("-nic user,") + wrong).refused().find("expected"), std::string::npos) << wrong;
  EXPECT_EQ(network.search_domains, (std::vector<std::string>{"a", "b"}));
}

TEST(QemuLine, AVdeSwitchIsConnectedToAsItsOptionsSay) {
  for (const char* line :
       {"-nic vde,sock=/s,port=3,group=net,mode=0660", "-net nic -net vde,sock=/s,port=3,group=net,mode=432",
        "-netdev vde,id=n,sock=/s,port=3,group=net,mode=0x1b0 -device virtio-net-device,netdev=n"}) {
    const Made m = make(line);
    EXPECT_EQ(m.refused(), "") << line;
    const auto& link = std::get<machine::NetworkSpec>(m.vm().devices.at(0)).link;
    ASSERT_TRUE(link) << line;
    EXPECT_EQ(link->kind, devices::FrameLinkOptions::Kind::Vde);
    EXPECT_EQ(link->vde.place, "/s");
    EXPECT_EQ(link->vde.port, 3u);
    EXPECT_EQ(link->vde.group, "net");
    EXPECT_EQ(link->vde.mode, 0660u) << line;
  }
  EXPECT_EQ(std::get<machine::NetworkSpec>(make("-nic vde").vm().devices.at(0)).link->vde.mode, 0700u);
  for (const char* wrong : {"port=x", "mode=65536", "mode=0888", "place=/s"})
    EXPECT_NE(make(std::string("-nic vde,") + wrong).refused().find("expected"), std::string::npos) << wrong;
}

TEST(QemuLine, TheGuestsConnectionsGoToCharacterDevices) {
  const Made m = make(
      "-chardev null,id=c,logfile=log -nic user,guestfwd=tcp:10.0.2.100:80-tcp:127.0.0.1:8080,"
      "guestfwd=:10.0.2.101:81-unix:/s,,server=on,,wait=off,guestfwd=tcp::82-chardev:c,guestfwd=tcp:10.0.2.102:7-null");
  EXPECT_EQ(m.refused(), "");
  const auto& forwards = std::get<machine::NetworkSpec>(m.vm().devices.at(0)).network.guest_forwards;
  ASSERT_EQ(forwards.size(), 4u);
  const auto end = [&](std::size_t n) { return m.vm().chardevs.at(forwards[n].line.value()); };
  EXPECT_EQ(end(0).socket.text(), "tcp:127.0.0.1:8080");
  EXPECT_EQ(end(0).label, "guestfwd.tcp.80");
  EXPECT_EQ(end(1).socket.text(), "unix:/s,server=on");
  EXPECT_FALSE(end(1).socket.wait);
  EXPECT_EQ(end(2).label, "c");
  EXPECT_EQ(forwards[2].address, 0u);
  EXPECT_TRUE(forwards[3].is_line() && !forwards[3].line);
  EXPECT_NE(make("-chardev null,id=c,logfile=l -serial chardev:c -nic user,guestfwd=tcp::82-chardev:c").refused(), "");
}

TEST(QemuLine, PacketsOfAnyNetworkGoToFiles) {
  const auto dumps = [](const std::string& text) {
    const Made m = make(text);
    EXPECT_EQ(m.refused(), "") << text;
    return std::get<machine::NetworkSpec>(m.vm().devices.at(0)).dumps;
  };
  const std::string filter = " -object filter-dump,id=f,netdev=n,file=a.pcap";
  for (const char* network : {"-netdev user,id=n -device virtio-net-device,netdev=n", "-nic user,id=n",
                              "-net nic -net user,id=n", "-netdev tap,id=n -device virtio-net-pci,netdev=n"}) {
    const auto found = dumps(network + filter);
    ASSERT_EQ(found.size(), 1u) << network;
    EXPECT_EQ(found[0].path, "a.pcap");
    EXPECT_EQ(found[0].most_bytes, 65536u);
  }
  using Direction = devices::DumpOptions::Direction;
  EXPECT_EQ(dumps("-nic user,id=n" + filter + ",maxlen=96,queue=rx").at(0).direction, Direction::FromGuest);
  EXPECT_EQ(dumps("-nic user,id=n" + filter + ",maxlen=96,queue=tx").at(0).most_bytes, 96u);
  EXPECT_FALSE(dumps("-nic user,id=n" + filter + ",status=off").at(0).on);
  EXPECT_EQ(dumps("-nic user,id=n -object filter-dump,id=g,netdev=n,file=b" + filter).size(), 2u);
  for (const char* wrong : {",maxlen=0", ",maxlen=x", ",queue=none", ",other=1", ",maxlen=4294967296", ",file="})
    EXPECT_NE(make("-nic user,id=n" + filter + wrong).refused(), "") << wrong;
  EXPECT_NE(make("-nic user,id=other" + filter).refused(), "");
  EXPECT_NE(make("-nic user,id=n -object filter-dump,netdev=n,file=a").refused(), "") << "QEMU wants an id";
  EXPECT_NE(make("-nic user,id=n -object filter-dump,id=f,file=a").refused(), "");
}

TEST(QemuLine, TapInterfacesRunQemusScriptsUnlessTheyAreToldOtherwise) {
  const auto tap = [](const std::string& text) {
    const Made m = make("-device virtio-net-device,netdev=t -netdev tap,id=t" + text);
    EXPECT_EQ(m.refused(), "");
    return *std::get<machine::NetworkSpec>(m.vm().devices.at(0)).tap;
  };
  EXPECT_EQ(tap("").up_script, "/etc/qemu-ifup");
  EXPECT_EQ(tap("").down_script, "/etc/qemu-ifdown");
  EXPECT_EQ(tap(",script=no,downscript=no,ifname=tap3").up_script, "");
  EXPECT_EQ(tap(",script=no,downscript=no,ifname=tap3").interface, "tap3");
  EXPECT_EQ(tap(",script=").up_script, "");
  EXPECT_EQ(tap(",script=/my/up").up_script, "/my/up");
  EXPECT_EQ(tap(",fd=5").fd, 5);
  EXPECT_EQ(tap(",fd=5").up_script, "");
}

TEST(QemuLine, BridgesAreReachedByQemusHelper) {
  const auto tap = [](const std::string& text) {
    const Made m = make("-device virtio-net-device,netdev=t -netdev " + text);
    EXPECT_EQ(m.refused(), "") << text;
    return *std::get<machine::NetworkSpec>(m.vm().devices.at(0)).tap;
  };
  EXPECT_EQ(tap("bridge,id=t").bridge, "br0");
  EXPECT_EQ(tap("bridge,id=t").helper, "/usr/lib/qemu/qemu-bridge-helper");
  EXPECT_EQ(tap("bridge,id=t").up_script, "");
  EXPECT_EQ(tap("bridge,id=t,br=virbr0,helper=/h").bridge, "virbr0");
  EXPECT_EQ(tap("tap,id=t,helper=/h").helper, "/h");
  EXPECT_EQ(tap("tap,id=t,fds=3,vhost=on,vhostfds=4").fd, 3) << "one queue";
  EXPECT_EQ(tap("tap,id=t,helper=/h").bridge, "br0");
  EXPECT_EQ(tap("tap,id=t,helper=/h").up_script, "");
  for (const char* text :
       {"bridge,id=t,helper=", "bridge,id=t,ifname=a", "tap,id=t,helper=/h,ifname=a", "tap,id=t,helper=/h,script=no",
        "tap,id=t,fd=3,ifname=a", "tap,id=t,fd=3,helper=/h", "tap,id=t,fd=3,downscript=no", "tap,id=t,fd=x",
        "tap,id=t,fds=3:4", "tap,id=t,fds=3,fd=4", "tap,id=t,fds=3,ifname=a", "tap,id=t,fds=3,queues=1",
        "tap,id=t,fds=", "vde,id=t,mode=x", "hubport,id=t,hubid=0"})
    EXPECT_NE(make(std::string("-device virtio-net-device,netdev=t -netdev ") + text).refused(), "") << text;
}

TEST(QemuLine, LinksOverSocketsAreAsQemuSaysThem) {
  using Kind = devices::FrameLinkOptions::Kind;
  using Family = devices::SocketAddress::Family;
  const auto link = [](const std::string& text) {
    const Made m = make("-device virtio-net-device,netdev=n -netdev " + text);
    EXPECT_EQ(m.refused(), "") << text;
    return *std::get<machine::NetworkSpec>(m.vm().devices.at(0)).link;
  };
  EXPECT_EQ(link("socket,id=n,listen=:2000").kind, Kind::Listen);
  EXPECT_EQ(link("socket,id=n,listen=:2000").local.text(), ":2000");
  EXPECT_EQ(link("socket,id=n,connect=host:1").remote.text(), "host:1");
  EXPECT_EQ(link("socket,id=n,udp=a:1,localaddr=b:2").local.text(), "b:2");
  EXPECT_EQ(link("socket,id=n,mcast=230.0.0.1:1234,localaddr=127.0.0.1").local.host, "127.0.0.1");
  EXPECT_EQ(link("stream,id=n,server=on,addr.type=unix,addr.path=p").local.path, "p");
  EXPECT_EQ(link("stream,id=n,addr.type=fd,addr.str=7").remote.fd, 7);
  EXPECT_EQ(link("stream,id=n,addr.type=inet,addr.host=h,addr.port=1,reconnect=2").reconnect_ms, 2000u);
  EXPECT_EQ(link("stream,id=n,addr.type=inet,addr.host=h,addr.port=1,reconnect-ms=0").reconnect_ms, std::nullopt);
  EXPECT_FALSE(link("stream,id=n,addr.type=inet,addr.host=h,addr.port=1,addr.ipv4=on").remote.ipv6);
  EXPECT_EQ(link("dgram,id=n,local.type=unix,local.path=a,remote.type=unix,remote.path=b").remote.path, "b");
  EXPECT_EQ(link("dgram,id=n,remote.type=inet,remote.host=230.0.0.1,remote.port=1").local.family, Family::None);
  EXPECT_EQ(link("dgram,id=n,local.type=fd,local.str=9").kind, Kind::Datagram);
  for (const char* text :
       {"socket,id=n", "socket,id=n,listen=:1,connect=h:1", "socket,id=n,connect=path",
        "socket,id=n,listen=:1,localaddr=a", "socket,id=n,listen=:65536", "socket,id=n,udp=h:1",
        "socket,id=n,mcast=10.0.0.1:1", "stream,id=n", "stream,id=n,addr.type=vsock",
        "stream,id=n,addr.type=inet,addr.host=h", "stream,id=n,addr.type=unix", "stream,id=n,addr.type=fd,addr.str=x",
        "stream,id=n,server=on,addr.type=unix,addr.path=p,reconnect=1",
        "stream,id=n,addr.type=unix,addr.path=p,reconnect=1,reconnect-ms=1",
        "stream,id=n,addr.type=unix,addr.path=p,addr.abstract=on", "dgram,id=n",
        "dgram,id=n,local.type=inet,local.host=h,local.port=1",
        "dgram,id=n,remote.type=inet,remote.host=10.0.0.1,remote.port=1",
        "dgram,id=n,local.type=inet,local.host=h,local.port=1,remote.type=unix,remote.path=p"})
    EXPECT_NE(make(std::string("-device virtio-net-device,netdev=n -netdev ") + text).refused(), "") << text;
}

TEST(QemuLine, ASecondSerialLineIsASecondUart) {
  const Made m = make("-serial mon:stdio -serial file:log");
  EXPECT_EQ(m.refused(), "");
  EXPECT_EQ(m.vm().boot.board, &machine::virt_board(true, machine::VirtPci::High));
  EXPECT_EQ(m.at(m.vm().second_console).path, "log");
  EXPECT_EQ(make("-serial stdio -serial none").vm().boot.board, &machine::virt_board(false, machine::VirtPci::High));
  EXPECT_NE(make("-serial stdio -serial stdio").refused(), "");
}

TEST(QemuLine, KeysOfTheConsoleAreThoseOfAMux) {
  using When = devices::ConsoleKeys::When;
  EXPECT_EQ(make("-nographic").console().keys.when, When::Always);
  EXPECT_FALSE(make("-nographic").console().keys.signals);
  EXPECT_EQ(make("-display none -serial mon:stdio").console().keys.when, When::Always);
  EXPECT_EQ(make("-display none -serial stdio").console().keys.when, When::Never);
  EXPECT_TRUE(make("-display none -serial stdio").console().keys.signals);
  EXPECT_EQ(make("-nographic -monitor none").console().keys.when, When::Never);
  EXPECT_EQ(make("-nographic -echr 0x14").console().keys.escape, 0x14);
}

TEST(QemuLine, TheSerialConsoleIsWhereQemuPutsIt) {
  using Kind = devices::ChardevOptions::Kind;
  EXPECT_EQ(make("-nographic").console().kind, Kind::Stdio);
  EXPECT_EQ(make("-display none").console().kind, Kind::None);
  EXPECT_EQ(make("-nodefaults -nographic").console().kind, Kind::None);
  EXPECT_EQ(make("-display none -serial mon:stdio").console().kind, Kind::Stdio);
  EXPECT_EQ(make("-serial file:log").console().path, "log");
  EXPECT_EQ(make("-serial chardev:c -chardev stdio,id=c,mux=on -mon chardev=c").console().kind, Kind::Stdio)
      << "the -chardev may stand behind";
  EXPECT_EQ(make("").fate("default: -serial vc"), Fate::Clamped) << "no window";
  EXPECT_NE(make("-serial chardev:none").refused(), "");
  EXPECT_NE(make("-serial tcp:1").refused(), "");
}

TEST(QemuLine, AVirtconsoleIsOnItsVirtioSerialDevice) {
  const Made m =
      make("-nic none -nographic -device virtio-serial-device -chardev null,id=v -device virtconsole,chardev=v");
  EXPECT_EQ(m.refused(), "");
  EXPECT_EQ(slots_of<machine::ConsoleSpec>(m.vm()), std::vector<u32>{31});
  EXPECT_NE(make("-device virtconsole").refused(), "") << "no virtio-serial";
  EXPECT_EQ(make("-nic none -device virtio-serial").fate("-device virtio-serial"), Fate::Mapped) << "no port";
}

TEST(QemuLine, PortsAreNumberedAsInQemu) {
  const Made m = make(
      "-nic none -device virtio-serial,id=a -device virtio-serial,id=b -chardev null,id=x "
      "-device virtserialport,name=one,bus=a.0,chardev=x -device virtserialport,nr=7,bus=a.0 "
      "-device virtconsole,bus=a.0 -device virtconsole,bus=a.0 -device virtserialport,bus=b.0");
  EXPECT_EQ(m.refused(), "");
  std::vector<std::vector<u32>> numbers;
  for (const machine::DeviceSpec& spec : m.vm().devices) {
    const auto& console = std::get<machine::ConsoleSpec>(spec);
    EXPECT_TRUE(console.multiport);
    numbers.emplace_back();
    for (const machine::PortSpec& port : console.ports) numbers.back().push_back(port.number);
  }
  EXPECT_EQ(numbers, (std::vector<std::vector<u32>>{{1, 7, 0, 2}, {1}}));
  EXPECT_NE(make("-device virtio-serial -device virtserialport,nr=0").refused(), "") << "for a virtconsole";
  EXPECT_NE(make("-device virtio-serial -device virtserialport,nr=31").refused(), "");
  EXPECT_NE(make("-device virtio-serial -device virtserialport,nr=1 -device virtserialport,nr=1").refused(), "");
  EXPECT_NE(make("-device virtio-serial,id=a -device virtserialport,bus=c.0").refused(), "");
}

TEST(QemuLine, SocketsOfChardevsAndOfSerialLines) {
  const auto text = [](const std::string& line) {
    const Made m = make("-display none " + line);
    EXPECT_EQ(m.refused(), "") << line;
    return m.console().socket.text();
  };
  EXPECT_EQ(text("-serial tcp::4444,server,nowait"), "tcp::4444,server=on");
  EXPECT_EQ(text("-serial telnet:localhost:4322,server,nowait"), "telnet:localhost:4322,server=on");
  EXPECT_EQ(text("-serial unix:/tmp/a,,b,server=on,wait=off"), "unix:/tmp/a,b,server=on");
  EXPECT_EQ(text("-serial chardev:c -chardev socket,id=c,path=p"), "unix:p");
  EXPECT_EQ(text("-serial chardev:c -chardev socket,id=c,host=h,port=1,telnet=on,reconnect=2"), "telnet:h:1");
  EXPECT_FALSE(make("-serial tcp::1,server,nowait").console().socket.wait);
  EXPECT_TRUE(make("-serial tcp::1,server").console().socket.wait);
  EXPECT_EQ(make("-serial tcp:h:1,reconnect=2").console().socket.reconnect_ms, 2000u);
  EXPECT_EQ(make("-serial tcp:h:1,reconnect=0").console().socket.reconnect_ms, std::nullopt);
  EXPECT_EQ(make("-serial file:f,logfile=l,logappend=on").console().log_file, "l");
  EXPECT_TRUE(make("-serial chardev:c -chardev file,id=c,path=f,append=on").console().append);
  for (const char* wrong :
       {"-chardev socket,id=c", "-chardev socket,id=c,path=p,port=1", "-serial unix:", "-serial tcp:a",
        "-serial tcp:a:1,server,reconnect=1", "-chardev socket,id=c,path=p,websocket=on", "-chardev udp,id=c",
        "-serial udp:1", "-serial udp::1@2", "-serial udp:", "-serial tcp:a:1,reconnect=x",
        "-chardev null,id=c -serial chardev:c -serial chardev:c -chardev null,id=c",
        "-chardev socket,id=c,path=p -serial chardev:c -serial chardev:c"})
    EXPECT_NE(make(wrong).refused(), "") << wrong;
  EXPECT_EQ(make("-chardev socket,id=c,path=p,mux=on -serial chardev:c -serial chardev:c").refused(), "");
}

TEST(QemuLine, SerialLinesMayBeDatagrams) {
  const auto places = [](const std::string& line) {
    const Made m = make("-display none " + line);
    EXPECT_EQ(m.refused(), "") << line;
    const devices::ChardevOptions& where = m.console();
    EXPECT_EQ(where.kind, devices::ChardevOptions::Kind::Udp) << line;
    return where.socket.at.text() + " " + where.local.text();
  };
  EXPECT_EQ(places("-serial udp::4555"), ":4555 :0");
  EXPECT_EQ(places("-serial udp:h:4555@127.0.0.1:4556"), "h:4555 127.0.0.1:4556");
  EXPECT_EQ(places("-serial udp:h:1@:2"), "h:1 :2");
  EXPECT_EQ(places("-chardev udp,id=c,host=h,port=1,localaddr=a,localport=2,ipv4=on -serial chardev:c"), "h:1 a:2");
}

TEST(QemuLine, IdsAreOfQemusGrammarAndThereOnceOfAKind) {
  const std::vector<std::string> things{"-device virtio-rng-device,",
                                        "-object rng-builtin,",
                                        "-netdev user,",
                                        "-nic user,",
                                        "-chardev null,",
                                        "-mon chardev=c,",
                                        "-drive file=d,if=none,",
                                        "-blockdev raw,filename=d,node-"};
  for (const std::string& thing : things) {
    const std::string key = thing.starts_with("-blockdev") ? "name=" : "id=";
    EXPECT_EQ(make("-chardev null,id=c " + thing + key + "a-B.0_").refused(), "") << thing;
    for (const char* wrong : {"1a", "", "-a", "a:b", "a/b", "\xc3\xa4"})
      EXPECT_NE(make("-chardev null,id=c " + thing + key + wrong).refused().find("expected a name of letters"),
                std::string::npos)
          << thing << wrong;
    EXPECT_NE(make("-chardev null,id=c " + thing + key + "a " + thing + key + "a").refused().find("of its own"),
              std::string::npos)
        << thing;
  }
  EXPECT_EQ(make("-chardev null,id=a -mon chardev=a,id=a -object rng-builtin,id=a -netdev user,id=a "
                 "-device virtio-net-device,netdev=a,id=a -drive file=d,if=none,id=a")
                .refused(),
            "")
      << "of different kinds";
  for (const char* line : {"-netdev user,id=a -nic user,id=a", "-netdev user,id=a -net user,id=a",
                           "-drive file=d,if=none,id=a -blockdev raw,filename=d,node-name=a"})
    EXPECT_NE(make(line).refused(), "") << line;
  for (const char* line : {"-object rng-builtin", "-netdev user", "-chardev null", "-blockdev raw,filename=d"})
    EXPECT_NE(make(line).refused().find("by which others refer to it"), std::string::npos) << line;
}

TEST(QemuLine, DrivesHavePlacesOfTheirOwnAndIdsByThem) {
  EXPECT_EQ(make("-drive file=a,if=none -device virtio-blk-device,drive=none0").refused(), "");
  EXPECT_EQ(make("-hdb a -drive file=b -drive file=c,index=7").refused(), "");
  for (const char* line : {"-hda a b", "-cdrom a -hdc b", "-drive file=a b", "-drive file=a,index=1 -hdb b",
                           "-drive file=a,if=none,index=0 -drive file=b,if=none,unit=0", "-drive file=a,index=x",
                           "-drive file=a,index=0,unit=0", "-drive file=a,if=none,id=virtio0 -drive file=b"})
    EXPECT_NE(make(line).refused(), "") << line;
}

/// What QEMU says of a wrong value is said here too, though the right one would change nothing.
TEST(QemuLine, ValuesOfWhatIsIgnoredMustBeRight) {
  for (const char* line : {"-accel foo",
                           "-accel tcg,foo=1",
                           "-accel tcg,thread=zz",
                           "-accel tcg,tb-size=x",
                           "-machine accel=foo",
                           "-machine accel=tcg -accel tcg",
                           "-machine highmem=zz",
                           "-machine mem-merge=zz",
                           "-cpu cortex-a15,foo=on",
                           "-cpu cortex-a15,pmu=zz",
                           "-cpu cortex-a15,+neon",
                           "-cpu cortex-a15,pmu",
                           "-cpu cortex-a15,neon=off",
                           "-sandbox foo",
                           "-sandbox on,foo=1",
                           "-sandbox on,spawn=zz",
                           "-uuid x",
                           "-boot foo",
                           "-boot menu=zz",
                           "-boot foo=1",
                           "-boot once=d",
                           "-name a,foo=on",
                           "-overcommit foo=1",
                           "-msg foo=1",
                           "-compat foo=1",
                           "-watchdog-action foo",
                           "-action reboot=foo",
                           "-action panic=foo",
                           "-watchdog foo",
                           "-device i6300esb,foo=1",
                           "-device pvpanic-pci,events=256",
                           "-device pvpanic-pci,foo=1",
                           "-device virtio-balloon-pci -device virtio-balloon-device",
                           "-device virtio-balloon-pci,free-page-reporting=x",
                           "-audiodev foo,id=a",
                           "-audio none,model=hda",
                           "-seed x",
                           "-numa node",
                           "-d",
                           "-object rng-random,id=a,foo=1",
                           "-object rng-builtin,id=a,filename=/dev/urandom",
                           "-object iothread,id=a,foo=1",
                           "-device virtio-rng-device,foo=1",
                           "-device virtio-rng-device,max-bytes=x",
                           "-device virtio-rng-device,vectors=1",
                           "-device virtio-net-device,mq=zz",
                           "-device virtio-net-device,bootindex=x",
                           "-device virtio-rng-device,mq=on",
                           "-run-with foo=1",
                           "-run-with user=root",
                           "-redir tcp:1::1",
                           "-global foo",
                           "-global foo.bar"})
    EXPECT_NE(make(line).refused().find("expected"), std::string::npos) << line;
  for (const char* line : {"-accel tcg,thread=multi,tb-size=64",
                           "-accel kvm -accel tcg",
                           "-machine accel=kvm:tcg",
                           "-machine accel=foo:tcg",
                           "-cpu cortex-a15,has_el3=off,pmu=on",
                           "-cpu cortex-a15,",
                           "-sandbox on,obsolete=deny",
                           "-boot order=dc,menu=on",
                           "-name a,process=b",
                           "-watchdog-action reset",
                           "-audio none",
                           "-watchdog i6300esb -action watchdog=poweroff",
                           "-device i6300esb",
                           "-device virtio-balloon-pci,free-page-reporting=on,deflate-on-oom=on",
                           "-action panic=pause,shutdown=pause -device pvpanic-pci,events=3",
                           "-device virtio-rng-pci,vectors=1",
                           "-device virtio-net-device,mq=on,bootindex=-1",
                           "-run-with async-teardown=on",
                           "-global foo.bar=1",
                           "-global virtio-net-pci.romfile=",
                           "-d guest_errors,unimp"})
    EXPECT_EQ(make(line).refused(), "") << line;
}

TEST(QemuLine, PropertiesOfAllDevicesOfADriver) {
  const std::string card = " -device virtio-net-pci,netdev=n -netdev user,id=n";
  for (const char* driver : {"virtio-net-pci", "virtio-net-device"}) {
    const Made m = make("-global " + std::string(driver) + ".mac=52:54:00:00:00:07" + card);
    EXPECT_EQ(m.refused(), "");
    EXPECT_EQ(std::get<machine::NetworkSpec>(m.vm().devices.at(0)).network.mac,
              (devices::MacAddress{0x52, 0x54, 0, 0, 0, 7}))
        << driver;
  }
  EXPECT_EQ(std::get<machine::NetworkSpec>(make("-global virtio-net-pci.mac=52:54:00:00:00:07" + card.substr(0, 24) +
                                                "mac=52:54:00:00:00:08," + card.substr(24))
                                               .vm()
                                               .devices.at(0))
                .network.mac,
            (devices::MacAddress{0x52, 0x54, 0, 0, 0, 8}))
      << "the device's own counts";
  EXPECT_NE(make("-global virtio-net-pci.nosuch=1" + card).refused(), "");
  EXPECT_NE(make("-global virtio-net-pci.mac=52:54:00:00:00:07").refused(), "") << "the board's card";
  EXPECT_NE(make("-global driver=cfi.pflash01,property=secure,value=on").refused(), "");
  EXPECT_EQ(make("-global virtio-blk-pci.nosuch=1").fate("-global virtio-blk-pci.nosuch=1"), Fate::Ignored);
}

TEST(QemuLine, FilesHaveNames) {
  for (const char* option : {"-kernel", "-initrd", "-dtb", "-bios", "-pidfile", "-D"})
    EXPECT_NE(read_line({option, ""}).outcomes.first_refusal().find("found nothing"), std::string::npos) << option;
}

TEST(QemuLine, BusesAreThere) {
  for (const char* line :
       {"-device virtio-rng-device,bus=zz", "-device virtio-rng-device,bus=", "-device virtio-rng-device,bus=pcie.0",
        "-device virtio-rng-pci,bus=virtio-mmio-bus.3", "-device virtio-rng-pci,bus=p -device pcie-root-port,id=q",
        "-device virtio-serial-device,id=s -device virtconsole,bus=t.0"})
    EXPECT_NE(make(line).refused().find("bus"), std::string::npos) << line;
  for (const char* line :
       {"-device virtio-rng-pci,bus=pcie.0", "-device pcie-root-port,id=p -device virtio-rng-pci,bus=p",
        "-device virtio-serial-device,id=s -device virtconsole,bus=s.0"})
    EXPECT_EQ(make(line).refused(), "") << line;
  EXPECT_NE(make("-device virtio-rng-device,bus=virtio-mmio-bus.32").refused().find("virtio-mmio-bus.31"),
            std::string::npos);
  EXPECT_NE(make("-device virtio-rng-device,bus=virtio-mmio-bus.3 -device virtio-rng-device,bus=virtio-mmio-bus.3")
                .refused()
                .find("another device has"),
            std::string::npos);
  EXPECT_NE(make("-device virtio-net-device,netdev=").refused(), "");
  EXPECT_EQ(make("-device virtio-rng-device,rng=").refused(), "");
}

TEST(QemuLine, ShapesOfOptionsAreOfKindsThatAreKnown) {
  for (const OptionRow& row : option_rows())
    for (const auto& [name, kind] : ListShape::parse(row.shape).keys) {
      EXPECT_FALSE(name.empty() || kind.empty()) << row.name;
      EXPECT_FALSE(values_text(kind).empty()) << row.name;
    }
}

TEST(QemuLine, OptionsAreThereOnce) {
  std::set<std::string_view> names;
  for (const OptionRow& row : option_rows()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

}  // namespace
}  // namespace armvisor::qemu
