// SCSI commands with their data, straight to a logical unit.
#include "devices/scsi/unit.h"
#include "memory_disk.h"

using namespace armvisor;
using namespace armvisor::devices;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 how = in.get<u8>();
  scsi::UnitOptions options{.cd_rom = (how & 1) != 0, .write_through = (how & 4) != 0, .unmap = (how & 8) == 0};
  if (how & 16) options.serial = "FUZZ";
  scsi::Unit unit(std::make_shared<fuzz::MemoryDisk>((how & 3) != 0), options);
  while (!in.empty()) {
    scsi::Command command;
    const std::size_t room = in.get<u16>(), length = in.get<u8>();
    const auto cdb = in.bytes(in.get<u8>() % (scsi::k_cdb_bytes + 1));
    std::ranges::copy(cdb, command.cdb.begin());
    const auto given = in.bytes(length * std::size_t{4});
    std::vector<u8> out(given.begin(), given.end()), answer(room);
    const iovec from{out.data(), out.size()}, to{answer.data(), answer.size()};
    command.out = {&from, 1};
    command.in = {&to, 1};
    const scsi::Reply reply = how & 32 ? scsi::Unit::execute_absent(command) : unit.execute(command);
    if (reply.moved > std::max(out.size(), answer.size())) fuzz::fail("more was moved than there was room for");
    if ((reply.status == scsi::Status::Good) != (reply.sense == scsi::k_no_sense))
      fuzz::fail("status and sense differ");
  }
  return 0;
}
