#pragma once
// Operation codes of SCSI commands (SPC-4, SBC-3, MMC-6).
#include "base/types.h"

namespace armvisor::devices::scsi {

enum Opcode : u8 {
  TEST_UNIT_READY = 0x00,
  REQUEST_SENSE = 0x03,
  READ_6 = 0x08,
  WRITE_6 = 0x0a,
  INQUIRY = 0x12,
  MODE_SELECT_6 = 0x15,
  RESERVE_6 = 0x16,
  RELEASE_6 = 0x17,
  MODE_SENSE_6 = 0x1a,
  START_STOP_UNIT = 0x1b,
  PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
  READ_CAPACITY_10 = 0x25,
  READ_10 = 0x28,
  WRITE_10 = 0x2a,
  SEEK_10 = 0x2b,
  WRITE_VERIFY_10 = 0x2e,
  VERIFY_10 = 0x2f,
  SYNCHRONIZE_CACHE_10 = 0x35,
  WRITE_SAME_10 = 0x41,
  UNMAP = 0x42,
  READ_TOC = 0x43,
  GET_CONFIGURATION = 0x46,
  GET_EVENT_STATUS_NOTIFICATION = 0x4a,
  READ_DISC_INFORMATION = 0x51,
  MODE_SELECT_10 = 0x55,
  MODE_SENSE_10 = 0x5a,
  READ_16 = 0x88,
  WRITE_16 = 0x8a,
  WRITE_VERIFY_16 = 0x8e,
  VERIFY_16 = 0x8f,
  SYNCHRONIZE_CACHE_16 = 0x91,
  WRITE_SAME_16 = 0x93,
  SERVICE_ACTION_IN_16 = 0x9e,
  REPORT_LUNS = 0xa0,
  READ_12 = 0xa8,
  WRITE_12 = 0xaa,
  WRITE_VERIFY_12 = 0xae,
  VERIFY_12 = 0xaf,
  MECHANISM_STATUS = 0xbd,
};

inline constexpr u8 k_read_capacity_16 = 0x10;  ///< service action of SERVICE_ACTION_IN_16

}  // namespace armvisor::devices::scsi
