#include "engine/jit/x64/assembler.h"

#include <algorithm>

#include "base/assert.h"

namespace armvisor::engine::jit {
namespace {

constexpr u32 k_unknown = ~u32{0};

}  // namespace

// (Xbyak wants to know the place of the code here; start() says it.)
Assembler::Assembler() : CodeGenerator(1, this) {}

void Assembler::start(u8* at, std::size_t capacity) {
  if (!constants_.empty()) reset();
  constants_.clear();
  places_.clear();
  references_.clear();
  size_ = 0;
  top_ = at;
  maxSize_ = capacity;
}

Label Assembler::label() {
  places_.push_back(k_unknown);
  return {static_cast<u32>(places_.size() - 1)};
}

void Assembler::jcc(u8 cc, Label to, LabelType type) {
  const auto opcode = static_cast<u8>(0x70 | cc);
  if (type == T_NEAR) db(0x0f);
  jump(opcode, static_cast<u8>(opcode + 0x10), to, type);
}

void Assembler::setcc(u8 cc, const Xbyak::Reg8& d) {
  AV_ASSERT(d.getIdx() < 3);
  db(0x0f), db(0x90 | cc), db(0xc0 | d.getIdx());
}

void Assembler::jump(u8 short_opcode, u8 near_opcode, Label to, LabelType type) {
  const u32 bytes = type == T_NEAR ? 4 : 1;
  db(type == T_NEAR ? near_opcode : short_opcode);
  references_.push_back({to.number, static_cast<u32>(getSize()), bytes});
  db(u64{0}, bytes);
}

void Assembler::load_address(const Xbyak::Reg64& d, Label of) {
  lea(d, ptr[rip]);
  references_.push_back({of.number, static_cast<u32>(getSize() - 4), 4});
}

Xbyak::Address Assembler::constant(u64 low, u64 high) {
  const std::pair value{low, high};
  auto it = std::find_if(constants_.begin(), constants_.end(), [&](const auto& c) { return c.first == value; });
  if (it == constants_.end()) it = constants_.insert(it, {value, Xbyak::Label()});
  return ptr[rip + it->second];
}

void Assembler::finish_code() {
  if (!constants_.empty()) align(16);
  for (auto& [value, label] : constants_) {
    CodeGenerator::L(label);
    dq(value.first);
    dq(value.second);
  }
  for (const Reference& r : references_) {
    AV_ASSERT(places_[r.label] != k_unknown);
    const auto distance = static_cast<s32>(places_[r.label] - (r.at + r.bytes));
    AV_ASSERT(r.bytes != 1 || distance == static_cast<s8>(distance));
    rewrite(r.at, static_cast<u32>(distance), r.bytes);
  }
}

}  // namespace armvisor::engine::jit
