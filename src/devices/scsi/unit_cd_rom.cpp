// Commands of CD-ROMs (MMC-6). The medium has one session with one track of data.
#include <array>

#include "devices/scsi/opcodes.h"
#include "devices/scsi/unit.h"

namespace armvisor::devices::scsi {
namespace {

/// Minutes, seconds and frames of 1/75 s, which are blocks; the first two seconds come before block 0.
void put_msf(u8* p, u64 block) {
  const u64 frames = block + 150;
  p[0] = 0;
  p[1] = static_cast<u8>(frames / 75 / 60);
  p[2] = static_cast<u8>(frames / 75 % 60);
  p[3] = static_cast<u8>(frames % 75);
}

constexpr u16 k_profile_cd = 0x08, k_profile_dvd = 0x10;
constexpr u64 k_most_cd_bytes = u64{80} * 60 * 75 * Unit::k_cd_block;

}  // namespace

Reply Unit::cd_rom(const Command& c) {
  switch (c.cdb[0]) {
    case READ_TOC: return read_toc(c);
    case GET_CONFIGURATION: return get_configuration(c);
    case GET_EVENT_STATUS_NOTIFICATION: return get_event_status(c);
    case READ_DISC_INFORMATION: return read_disc_information(c);
    case MECHANISM_STATUS: return answer(c, std::array<u8, 8>{0, 0, 0, 0, 0, 1, 0, 0}, get16(&c.cdb[8]));
    case READ_10:
    case READ_12:
    case READ_16:
    case VERIFY_10:
    case VERIFY_12:
    case VERIFY_16:
    case SYNCHRONIZE_CACHE_10:
    case SYNCHRONIZE_CACHE_16: return read_write(c);
    case WRITE_10:
    case WRITE_12:
    case WRITE_16: return fail(k_write_protected);
    default: return fail(k_invalid_opcode);
  }
}

Reply Unit::read_toc(const Command& c) {
  const bool msf = bit(c.cdb[1], 1);
  const u8 format = c.cdb[2] & 0xf, first = c.cdb[6];
  const auto place = [msf](u8* p, u64 block) { msf ? put_msf(p, block) : put32(p, static_cast<u32>(block)); };
  Bytes data = {0, 0, 1, 1};  // length; first and last track, or session
  const auto add = [&](u8 track, u64 block) {
    data.insert(data.end(), {0, 0x14, track, 0, 0, 0, 0, 0});  // data, which may be copied
    place(&data[data.size() - 4], block);
  };
  constexpr u8 k_lead_out = 0xaa;
  if (format > 1 || (format == 0 && first > 1 && first != k_lead_out)) return fail(k_invalid_field);
  if (format == 1 || first <= 1) add(1, 0);
  if (format == 0) add(k_lead_out, blocks());
  put16(&data[0], static_cast<u32>(data.size()) - 2);
  return answer(c, data, get16(&c.cdb[7]));
}

Reply Unit::get_configuration(const Command& c) {
  const u32 profile = disk_->size() > k_most_cd_bytes ? k_profile_dvd : k_profile_cd;
  if ((c.cdb[1] & 3) > 2) return fail(k_invalid_field);
  Bytes data(8, 0);
  put16(&data[6], profile);
  const auto feature = [&](u32 code, u8 flags, std::initializer_list<u8> more) {
    const u8 wanted = c.cdb[1] & 3;  // 0: all from the first on; 1: those that are current; 2: this one
    const u32 start = get16(&c.cdb[2]);
    if (wanted == 2 ? code != start : code < start) return;
    data.insert(data.end(), {0, static_cast<u8>(code), flags, static_cast<u8>(more.size())});
    data.insert(data.end(), more);
  };
  feature(0, 0x03,
          {0, k_profile_dvd, static_cast<u8>(profile == k_profile_dvd), 0,  //
           0, k_profile_cd, static_cast<u8>(profile == k_profile_cd), 0});
  feature(1, 0x0b, {0, 0, 0, 1, 1, 0, 0, 0});  // core, over SCSI
  feature(3, 0x03, {0x29, 0, 0, 0});           // a removable medium, in a tray
  put32(&data[0], static_cast<u32>(data.size()) - 4);
  return answer(c, data, get16(&c.cdb[7]));
}

/// Asked for what has changed; nothing does.
Reply Unit::get_event_status(const Command& c) {
  constexpr u8 k_media = 4;
  if (!bit(c.cdb[1], 0)) return fail(k_invalid_field);  // only at once
  if (!bit(c.cdb[4], k_media)) return answer(c, std::array<u8, 4>{0, 2, 0x80, 1 << k_media}, get16(&c.cdb[7]));
  return answer(c, std::array<u8, 8>{0, 6, k_media, 1 << k_media, 0, 2, 0, 0}, get16(&c.cdb[7]));
}

Reply Unit::read_disc_information(const Command& c) {
  if (c.cdb[1] & 7) return fail(k_invalid_field);
  std::array<u8, 34> data{};
  data[1] = 32;
  data[2] = 0x0e;  // finalized
  data[3] = data[4] = data[5] = data[6] = 1;
  data[7] = 0x20;
  return answer(c, data, get16(&c.cdb[7]));
}

}  // namespace armvisor::devices::scsi
