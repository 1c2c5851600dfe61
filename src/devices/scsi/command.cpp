#include "devices/scsi/command.h"

#include <algorithm>
#include <cstring>

namespace armvisor::devices::scsi {

std::array<u8, k_sense_bytes> sense_data(const Sense& sense) {
  std::array<u8, k_sense_bytes> data{};
  data[0] = 0x70;  // of this command, in fixed format
  data[2] = sense.key;
  data[7] = k_sense_bytes - 8;
  data[12] = sense.code;
  data[13] = sense.qualifier;
  return data;
}

u64 total(std::span<const iovec> buffers) {
  u64 bytes = 0;
  for (const iovec& v : buffers) bytes += v.iov_len;
  return bytes;
}

std::size_t gather(std::span<const iovec> from, std::span<u8> bytes) {
  std::size_t done = 0;
  for (const iovec& v : from) {
    const std::size_t n = std::min(v.iov_len, bytes.size() - done);
    if (n) std::memcpy(bytes.data() + done, v.iov_base, n);
    done += n;
  }
  return done;
}

std::size_t scatter(std::span<const iovec> to, std::span<const u8> bytes) {
  std::size_t done = 0;
  for (const iovec& v : to) {
    const std::size_t n = std::min(v.iov_len, bytes.size() - done);
    if (n) std::memcpy(v.iov_base, bytes.data() + done, n);
    done += n;
  }
  return done;
}

}  // namespace armvisor::devices::scsi
