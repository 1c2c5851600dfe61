// Frames in a stream from a peer who may be anybody, cut into pieces of any size.
#include "devices/backends/frame_reader.h"
#include "input.h"

using namespace armvisor;
using devices::FrameReader;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  FrameReader reader;
  std::size_t given = 0, taken = 0;
  while (!in.empty()) {
    const std::size_t wanted = in.get<u8>() + std::size_t{1};
    const auto room = reader.room();
    if (room.empty()) fuzz::fail("no room for what comes next");
    const auto piece = in.bytes(std::min(wanted, room.size()));
    if (!piece.empty()) std::memcpy(room.data(), piece.data(), piece.size());
    given += piece.size();
    const bool whole = reader.take(piece.size(), [&](std::span<const u8> frame) {
      if (frame.size() > FrameReader::k_longest) fuzz::fail("a frame that is too long");
      taken += FrameReader::k_length_bytes + frame.size();
    });
    if (taken > given) fuzz::fail("more frames than bytes");
    if (whole) continue;
    reader.restart();
    given = taken = 0;
  }
  return 0;
}
