// Advanced SIMD element and structure loads and stores (ARM DDI 0406C A7.7).
//
// Multiple structures move as whole doublewords, in memory order; (de)interleaving is done in registers. A big-endian
// doubleword access has its elements in reverse order, which VREV64 undoes, so each element is in its own byte order.
#include <array>

#include "base/bits.h"
#include "frontend/translate_simd.h"

namespace armvisor::frontend::simd {
namespace {

/// The memory side of one instruction: addresses count up from Rn, and Rn is updated last.
class Elements {
 public:
  /// `alignment`: what the instruction specifies for Rn, in bytes; 1 for nothing.
  Elements(Translator& t, const auto& i, u32 esize_log2, u32 alignment)
      : t_(t), n_(i('n')), m_(i('m')), esize_log2_(esize_log2), alignment_(alignment) {}

  u32 element_bytes() const { return 1u << (esize_log2_ - 3); }

  // Doublewords as they are in memory. The accesses of one instruction are emitted side by side, so that an engine can
  // check them together.
  Value load_doubleword() { return load(8); }
  void store_doubleword(Value v) { store(8, v); }
  /// Such a doubleword as a vector with its elements in order, and back.
  Value to_vector(Value v) {
    const Value vector = t_.ir.emit(Op::VPack, v, Operand::imm(0));
    return reversed() ? vec(t_, VecOp::Rev64, esize_log2_, false, vector) : vector;
  }
  Value from_vector(Value vector) {
    if (reversed()) vector = vec(t_, VecOp::Rev64, esize_log2_, false, vector);
    return t_.ir.emit(Op::VLo, vector);
  }
  /// The same with register D[d].
  void to_register(u32 d, Value v) {
    if (reversed())
      set(t_, d, false, to_vector(v));
    else
      t_.ir.emit_imm(Op::SetD, d, v);
  }
  Value from_register(u32 d) { return reversed() ? from_vector(get(t_, d, false)) : t_.ir.emit_imm(Op::GetD, d); }
  /// The next element, of up to 32 bits.
  Value load_element() { return load(element_bytes()); }
  void store_element(Value v) { store(element_bytes(), v); }

  /// Rm 15: Rn stays; 13: Rn moves by what was transferred; else by Rm.
  void writeback() {
    if (m_ == 15) return;
    t_.ir.emit_to(base(), Op::Add, base(), m_ == 13 ? Operand::imm(disp_) : t_.reg(m_));
  }

 private:
  Value base() const { return Value::reg(n_); }
  bool reversed() const { return t_.context.big_endian && esize_log2_ < 6; }

  Value load(u32 bytes) {
    const u32 disp = disp_;
    return t_.read(next(bytes), base(), disp);
  }
  void store(u32 bytes, Value v) {
    const u32 disp = disp_;
    t_.write(next(bytes), base(), disp, v);
  }
  /// The first access checks the alignment that the instruction names.
  Translator::Access next(u32 bytes) {
    const u32 named = disp_ == 0 ? alignment_ : 1;
    disp_ += bytes;
    return {AccessKind::Element, bytes, 0, element_bytes(), named};
  }

  Translator& t_;
  u32 n_, m_, esize_log2_, alignment_, disp_ = 0;
};

bool open_elements(Translator& t, const auto& i, bool defined, u32 last_register) {
  return open(t, defined && i('n') != 15 && last_register < 32);
}

/// Alignment in bytes of the multiple structures forms.
u32 multiple_alignment(const auto& i) { return i('a') == 0 ? 1 : 4u << i('a'); }

using Registers = std::array<Value, 4>;

/// VLD1, VST1 of `count` registers; align fields up to `max_align` are defined.
void one_multiple(Translator& t, const auto& i, u32 count, u32 max_align, bool load) {
  if (!open_elements(t, i, i('a') <= max_align, vd(i) + count - 1)) return;
  Elements e(t, i, 3 + i('z'), multiple_alignment(i));
  Registers v;
  for (u32 k = 0; k < count; ++k) v[k] = load ? e.load_doubleword() : e.from_register(vd(i) + k);
  for (u32 k = 0; k < count; ++k) {
    if (load)
      e.to_register(vd(i) + k, v[k]);
    else
      e.store_doubleword(v[k]);
  }
  e.writeback();
}

/// Two vectors, and their elements dealt out alternately.
void deal(Translator& t, u32 esize_log2, Value& a, Value& b) {
  const Value r1 = vec(t, VecOp::Uzp1, esize_log2, false, a, b);
  b = vec(t, VecOp::Uzp2, esize_log2, false, a, b);
  a = r1;
}
/// The inverse.
void merge(Translator& t, u32 esize_log2, Value& a, Value& b) {
  const Value r1 = vec(t, VecOp::Zip1, esize_log2, false, a, b);
  b = vec(t, VecOp::Zip2, esize_log2, false, a, b);
  a = r1;
}

/// Three vectors at once, by table: byte k of the result's doubleword `which` comes from byte source(which, k).
template <class Source>
void permute_three(Translator& t, Registers& v, Source source) {
  const auto low = [&](Value x) { return t.ir.emit(Op::VLo, x); };
  const Value a = t.ir.emit(Op::VPack, low(v[0]), low(v[1]));
  const Value b = t.ir.emit(Op::VPack, low(v[2]), Operand::imm(0));
  for (u32 which = 0; which < 3; ++which) {
    u64 indices = 0;
    for (u32 k = 0; k < 8; ++k) indices |= u64{source(which, k)} << (8 * k);
    const Value c = t.ir.emit(Op::VPack, t.ir.emit(Op::Mov64, Operand::imm(indices)), Operand::imm(0));
    v[which] = vec(t, VecOp::Tbl, 3, false, a, b, c, 3);
  }
}

/// From memory order to one register per structure member, and back.
void deinterleave(Translator& t, u32 members, u32 esize_log2, Registers& v) {
  const u32 size = 1u << (esize_log2 - 3);
  if (members == 2) return deal(t, esize_log2, v[0], v[1]);
  if (members == 3)
    return permute_three(t, v, [&](u32 member, u32 k) { return ((k / size) * 3 + member) * size + k % size; });
  deal(t, esize_log2, v[0], v[1]);  // members 0 and 2 of the first half, 1 and 3
  deal(t, esize_log2, v[2], v[3]);
  deal(t, esize_log2, v[0], v[2]);
  deal(t, esize_log2, v[1], v[3]);
}
void interleave(Translator& t, u32 members, u32 esize_log2, Registers& v) {
  const u32 size = 1u << (esize_log2 - 3);
  if (members == 2) return merge(t, esize_log2, v[0], v[1]);
  if (members == 3) {
    return permute_three(t, v, [&](u32 doubleword, u32 k) {
      const u32 element = (doubleword * 8 + k) / size;
      return (element % 3) * 8 + (element / 3) * size + k % size;
    });
  }
  merge(t, esize_log2, v[0], v[2]);
  merge(t, esize_log2, v[1], v[3]);
  merge(t, esize_log2, v[0], v[1]);
  merge(t, esize_log2, v[2], v[3]);
}

/// VLD2-4, VST2-4: members in registers d, d + step, ..., and `repeat` such sets in d, d + 1.
void structures(Translator& t, const auto& i, u32 members, u32 step, u32 repeat, bool defined, bool load) {
  const u32 last = vd(i) + (repeat - 1) + (members - 1) * step;
  if (!open_elements(t, i, defined && i('z') != 3, last)) return;
  const u32 esize_log2 = 3 + i('z');
  Elements e(t, i, esize_log2, multiple_alignment(i));
  Registers sets[2];
  const auto each = [&](auto f) {
    for (u32 r = 0; r < repeat; ++r)
      for (u32 k = 0; k < members; ++k) f(sets[r][k], vd(i) + r + k * step);
  };
  if (load) {
    each([&](Value& v, u32) { v = e.load_doubleword(); });
    each([&](Value& v, u32) { v = e.to_vector(v); });
    for (u32 r = 0; r < repeat; ++r) deinterleave(t, members, esize_log2, sets[r]);
    each([&](Value& v, u32 d) { set(t, d, false, v); });
  } else {
    each([&](Value& v, u32 d) { v = get(t, d, false); });
    for (u32 r = 0; r < repeat; ++r) interleave(t, members, esize_log2, sets[r]);
    each([&](Value& v, u32) { v = e.from_vector(v); });
    each([&](Value& v, u32) { e.store_doubleword(v); });
  }
  e.writeback();
}

void two(Translator& t, const auto& i, bool load) { structures(t, i, 2, 1 + i('t'), 1, i('a') != 3, load); }
void three(Translator& t, const auto& i, bool load) { structures(t, i, 3, 1 + i('t'), 1, i('a') < 2, load); }
void four(Translator& t, const auto& i, bool load) { structures(t, i, 4, 1 + i('t'), 1, true, load); }

}  // namespace

// VST1<c>.<size> <list>, [<Rn>{:<align>}]{!}; VST1<c>.<size> <list>, [<Rn>{:<align>}], <Rm>; the others likewise
void VST1_1(Translator& t, const fields::VST1_1& i) { one_multiple(t, i, 1, 1, false); }
void VST1_2(Translator& t, const fields::VST1_2& i) { one_multiple(t, i, 2, 2, false); }
void VST1_3(Translator& t, const fields::VST1_3& i) { one_multiple(t, i, 3, 1, false); }
void VST1_4(Translator& t, const fields::VST1_4& i) { one_multiple(t, i, 4, 3, false); }
void VST2_2(Translator& t, const fields::VST2_2& i) { two(t, i, false); }
void VST2_4(Translator& t, const fields::VST2_4& i) { structures(t, i, 2, 2, 2, true, false); }
void VST3(Translator& t, const fields::VST3& i) { three(t, i, false); }
void VST4(Translator& t, const fields::VST4& i) { four(t, i, false); }
void VLD1_1(Translator& t, const fields::VLD1_1& i) { one_multiple(t, i, 1, 1, true); }
void VLD1_2(Translator& t, const fields::VLD1_2& i) { one_multiple(t, i, 2, 2, true); }
void VLD1_3(Translator& t, const fields::VLD1_3& i) { one_multiple(t, i, 3, 1, true); }
void VLD1_4(Translator& t, const fields::VLD1_4& i) { one_multiple(t, i, 4, 3, true); }
void VLD2_2(Translator& t, const fields::VLD2_2& i) { two(t, i, true); }
void VLD2_4(Translator& t, const fields::VLD2_4& i) { structures(t, i, 2, 2, 2, true, true); }
void VLD3(Translator& t, const fields::VLD3& i) { three(t, i, true); }
void VLD4(Translator& t, const fields::VLD4& i) { four(t, i, true); }

namespace {

/// index_align of the single lane forms: lane, register step and alignment.
struct Lane {
  u32 index = 0, step = 1, alignment = 1;
  bool defined = true;
};

Lane decode_lane(const auto& i, u32 members) {
  const u32 size = i('z'), ia = i('i');
  Lane lane;
  lane.index = ia >> (size + 1);
  if (members > 1 && size != 0) lane.step = 1 + ((ia >> size) & 1);
  const u32 low = ia & low_mask(size == 0 ? 1 : members == 1 ? size + 1 : size);  // what is neither index nor step
  const u32 bytes = members << size;
  lane.defined = size != 3;
  switch (members) {
    case 1:
      lane.defined &= size == 0 ? low == 0 : size == 1 ? low < 2 : low == 0 || low == 3;
      if (low != 0) lane.alignment = bytes;
      break;
    case 2:
      lane.defined &= low < 2;
      if (low == 1) lane.alignment = bytes;
      break;
    case 3: lane.defined &= low == 0; break;
    default:
      lane.defined &= low < 3;
      if (low != 0) lane.alignment = size == 2 ? 4u << low : bytes;
  }
  return lane;
}

void single_lane(Translator& t, const auto& i, u32 members, bool load) {
  const Lane lane = decode_lane(i, members);
  if (!open_elements(t, i, lane.defined, vd(i) + (members - 1) * lane.step)) return;
  Elements e(t, i, 3 + i('z'), lane.alignment);
  const u32 imm = (8u << i('z')) | lane.index << 8;
  for (u32 k = 0; k < members; ++k) {
    const u32 d = vd(i) + k * lane.step;
    if (load)
      set(t, d, false, t.ir.emit_imm(Op::VSetLane, imm, get(t, d, false), e.load_element()));
    else
      e.store_element(t.ir.emit_imm(Op::VGetLane, imm, get(t, d, false)));
  }
  e.writeback();
}

}  // namespace

// V<LD|ST><n><c>.<size> {<Dd[x]>, ...}, [<Rn>{:<align>}]{!}
void VST1_lane(Translator& t, const fields::VST1_lane& i) { single_lane(t, i, 1, false); }
void VST2_lane(Translator& t, const fields::VST2_lane& i) { single_lane(t, i, 2, false); }
void VST3_lane(Translator& t, const fields::VST3_lane& i) { single_lane(t, i, 3, false); }
void VST4_lane(Translator& t, const fields::VST4_lane& i) { single_lane(t, i, 4, false); }
void VLD1_lane(Translator& t, const fields::VLD1_lane& i) { single_lane(t, i, 1, true); }
void VLD2_lane(Translator& t, const fields::VLD2_lane& i) { single_lane(t, i, 2, true); }
void VLD3_lane(Translator& t, const fields::VLD3_lane& i) { single_lane(t, i, 3, true); }
void VLD4_lane(Translator& t, const fields::VLD4_lane& i) { single_lane(t, i, 4, true); }

namespace {

/// Each member's element goes to every lane of `copies` registers, one after the other.
void all_lanes(Translator& t, const auto& i, u32 members, u32 copies, u32 step, bool defined, u32 alignment) {
  const u32 size = i('z') == 3 ? 2 : i('z');
  const u32 last = vd(i) + (members - 1) * step + copies - 1;
  if (!open_elements(t, i, defined, last)) return;
  Elements e(t, i, 3 + size, alignment);
  for (u32 k = 0; k < members; ++k) {
    const Value v = t.ir.emit_imm(Op::VDup, 8u << size, e.load_element());
    for (u32 copy = 0; copy < copies; ++copy) set(t, vd(i) + k * step + copy, false, v);
  }
  e.writeback();
}

}  // namespace

// VLD<n><c>.<size> {<Dd[]>, ...}, [<Rn>{:<align>}]{!}
void VLD1_all(Translator& t, const fields::VLD1_all& i) {
  const bool defined = i('z') != 3 && !(i('z') == 0 && i('a'));
  all_lanes(t, i, 1, 1 + i('t'), 1, defined, i('a') ? 1u << i('z') : 1);
}
void VLD2_all(Translator& t, const fields::VLD2_all& i) {
  all_lanes(t, i, 2, 1, 1 + i('t'), i('z') != 3, i('a') ? 2u << i('z') : 1);
}
void VLD3_all(Translator& t, const fields::VLD3_all& i) {
  all_lanes(t, i, 3, 1, 1 + i('t'), i('z') != 3 && !i('a'), 1);
}
void VLD4_all(Translator& t, const fields::VLD4_all& i) {
  const u32 specified = i('z') == 3 ? 16 : i('z') == 2 ? 8 : 4u << i('z');
  all_lanes(t, i, 4, 1, 1 + i('t'), !(i('z') == 3 && !i('a')), i('a') ? specified : 1);
}

}  // namespace armvisor::frontend::simd
