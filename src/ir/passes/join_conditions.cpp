#include "ir/passes/join_conditions.h"

#include <algorithm>
#include <map>
#include <vector>

#include "arm/psr.h"

namespace armvisor::ir {
namespace {

constexpr std::size_t k_most_copied = 12;  ///< IR instructions of a row that come to be there twice
constexpr u8 k_always = static_cast<u8>(arm::Cond::AL), k_never = k_always + 1;

/// A guest instruction: [begin, end) of the block, from its Insn on.
struct Chunk {
  std::size_t begin, end;
  enum class Kind : u8 { Conditional, Unconditional, Other } kind = Kind::Other;
  u8 condition = k_always;
  std::size_t body() const { return kind == Kind::Conditional ? begin + 2 : begin + 1; }
  std::size_t body_end() const { return kind == Kind::Conditional ? end - 1 : end; }
};

/// Leaves the flags and goes on behind.
bool is_plain(const Inst& i) {
  if (i.op == Op::Label || i.op == Op::SkipIf || i.op == Op::Head) return false;
  const u8 effects = info(i.op).effects;
  return effects == Pure || i.op == Op::Load || i.op == Op::Load64 || i.op == Op::Store || i.op == Op::Store64;
}

class Joiner {
 public:
  explicit Joiner(const Block& block) : block_(block), last_use_(block.temp_count, 0) {
    for (std::size_t k = 0; k < block.insts.size(); ++k)
      for (const Value v : {block.insts[k].a, block.insts[k].b, block.insts[k].c})
        if (v.is_temp()) last_use_[v.temp_number()] = k;
    split();
  }

  std::optional<Block> run() {
    for (std::size_t k = 0; k < chunks_.size();) {
      const std::size_t end = row_end(k);
      if (end == k + 1 && !out_) {
        ++k;
        continue;
      }
      if (!out_) {
        out_ = block_;
        out_->insts.assign(block_.insts.begin(), at(chunks_[k].begin));
      }
      end == k + 1 ? copy(chunks_[k].begin, chunks_[k].end) : join(k, end);
      k = end;
    }
    return std::move(out_);
  }

 private:
  std::vector<Inst>::const_iterator at(std::size_t k) const {
    return block_.insts.begin() + static_cast<std::ptrdiff_t>(k);
  }

  /// What stands before the first Insn is a chunk of its own, and so is what is behind the label of a skip.
  void split() {
    const auto& insts = block_.insts;
    for (std::size_t k = 0; k < insts.size(); ++k) {
      if (k == 0 || insts[k].op == Op::Insn || insts[k].op == Op::Head || insts[k - 1].op == Op::Label)
        chunks_.push_back({k, k});
      chunks_.back().end = k + 1;
    }
    for (Chunk& c : chunks_) classify(c);
  }

  void classify(Chunk& c) {
    const auto& insts = block_.insts;
    if (insts[c.begin].op != Op::Insn) return;
    const bool skips = c.end - c.begin >= 4 && insts[c.begin + 1].op == Op::SkipUnless &&
                       insts[c.begin + 1].attr < k_always && insts[c.end - 1].op == Op::Label &&
                       insts[c.end - 1].imm == insts[c.begin + 1].imm;
    c.kind = skips ? Chunk::Kind::Conditional : Chunk::Kind::Unconditional;
    if (skips) c.condition = insts[c.begin + 1].attr;
    if (!std::all_of(at(c.body()), at(c.body_end()), is_plain)) c.kind = Chunk::Kind::Other;
  }

  /// Nothing behind the chunk uses its temps.
  bool is_closed(const Chunk& c) const {
    return std::all_of(at(c.begin), at(c.end),
                       [&](const Inst& i) { return !i.dst.is_temp() || last_use_[i.dst.temp_number()] < c.end; });
  }

  /// Behind the last conditional chunk of a row that begins with chunk `first`; first + 1 when there is no row.
  std::size_t row_end(std::size_t first) const {
    std::size_t end = first + 1, copied = 0;
    if (chunks_[first].kind != Chunk::Kind::Conditional) return end;
    for (std::size_t k = first + 1; k < chunks_.size() && chunks_[k].kind != Chunk::Kind::Other; ++k) {
      const Chunk& c = chunks_[k];
      if (c.kind == Chunk::Kind::Conditional) {
        if ((c.condition ^ chunks_[first].condition) > 1) break;
        end = k + 1;
      } else {
        copied += c.end - c.begin;
        if (copied > k_most_copied || !is_closed(c)) break;
      }
    }
    return end;
  }

  void copy(std::size_t begin, std::size_t end) { out_->insts.insert(out_->insts.end(), at(begin), at(end)); }

  /// As copy(), with temps of its own.
  void copy_again(const Chunk& c) {
    std::map<u32, u32> renamed;
    for (auto i = at(c.begin); i != at(c.end); ++i) {
      Inst& n = out_->insts.emplace_back(*i);
      for (Value* const v : {&n.a, &n.b, &n.c})
        if (v->is_temp() && renamed.contains(v->temp_number())) *v = Value::temp(renamed[v->temp_number()]);
      if (!n.dst.is_temp()) continue;
      const auto [place, is_new] = renamed.try_emplace(n.dst.temp_number(), out_->temp_count);
      out_->temp_count += is_new;
      n.dst = Value::temp(place->second);
    }
  }

  void join(std::size_t first, std::size_t end) {
    const u8 condition = chunks_[first].condition;
    const u64 not_met = block_.insts[chunks_[first].begin + 1].imm;
    bool has_other_way = false;
    copy(chunks_[first].begin, chunks_[first].body_end());
    for (std::size_t k = first + 1; k < end; ++k) {
      const Chunk& c = chunks_[k];
      has_other_way |= c.condition != condition;
      if (c.kind == Chunk::Kind::Unconditional) {
        copy(c.begin, c.end);
      } else if (c.condition == condition) {
        copy(c.begin, c.begin + 1);
        copy(c.body(), c.body_end());
      }
    }
    const u64 both = has_other_way ? out_->label_count++ : not_met;
    if (has_other_way) {
      out_->insts.push_back({.op = Op::SkipUnless, .attr = k_never, .imm = both});
      out_->insts.push_back({.op = Op::Label, .imm = not_met});
      for (std::size_t k = first + 1; k < end; ++k) {
        const Chunk& c = chunks_[k];
        if (c.kind == Chunk::Kind::Unconditional) {
          copy_again(c);
        } else if (c.condition != condition) {
          copy(c.begin, c.begin + 1);
          copy(c.body(), c.body_end());
        }
      }
    }
    out_->insts.push_back({.op = Op::Label, .imm = both});
  }

  const Block& block_;
  std::vector<std::size_t> last_use_;
  std::vector<Chunk> chunks_;
  std::optional<Block> out_;
};

}  // namespace

std::optional<Block> with_joined_conditions(const Block& block) {
  const auto is_condition = [](const Inst& i) { return i.op == Op::SkipUnless; };
  if (std::count_if(block.insts.begin(), block.insts.end(), is_condition) < 2) return {};
  return Joiner(block).run();
}

}  // namespace armvisor::ir
