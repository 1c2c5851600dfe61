"""Every command line of command_lines.tsv: what becomes of it is as its row and the page in docs say."""
import unittest

import lines
from support import ARMVISOR, Folder


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lines = lines.read()
        cls.accounts = lines.accounts_of(ARMVISOR, cls.lines)

    def test_each_is_run_or_refused_as_expected(self):
        for number, (line, account) in enumerate(zip(self.lines, self.accounts), 1):
            with self.subTest(number=number, line=line.text):
                self.assertEqual(lines.outcome(account), line.expected)

    def test_whatever_is_not_mapped_has_its_reason(self):
        for account in self.accounts:
            for option in account["options"]:
                self.assertTrue(option["fate"] == "mapped" or len(option["why"]) > 5, option)
                if option["fate"] == "refused":
                    self.assertIn("expected", option["why"])

    def test_each_option_of_a_line_has_an_outcome(self):
        for line, account in zip(self.lines, self.accounts):
            said = " ".join(o["option"] for o in account["options"])
            for word in line.words():
                if word.startswith("-") and word not in ("-L", "-append"):
                    name = "-" + word.lstrip("-").replace("M", "machine", 1) if word == "-M" else "-" + word.lstrip("-")
                    self.assertTrue(name in said or word in said, f"{word} of {line.text}")

    def test_the_page_in_docs_is_up_to_date(self):
        self.assertEqual(lines.PAGE.read_text(), lines.page(self.lines, self.accounts),
                         "run tests/qemu/lines.py --update build/release/armvisor")

    def test_a_refused_line_is_refused_by_one_sentence_and_status_1(self):
        with Folder() as folder:
            for line, account in zip(self.lines, self.accounts):
                if account["outcome"] == "refused":
                    process = folder.qemu(*line.words())
                    self.assertEqual(process.returncode, 1, line.text)
                    self.assertRegex(process.stderr, r"\Aarmvisor: [^\n]*expected[^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
