"""What a new study's participants read until the experimenter writes something better."""

DEFAULT_TEXTS = {
    "welcome_text": """\
You will see pairs of images made by a computer from a short description, and say which one you \
prefer. It takes about [5] minutes.

**Who runs this:** [your name and institution], [email address].

**Payment:** [none].
""",
    "consent_text": """\
- I am at least 18 years old.
- Taking part is voluntary. I can stop at any time by closing the page.
- My answers and how long they take are stored without my name, and may be published.
""",
    "instructions_text": """\
Two images appear side by side. Choose the left or the right one: with the arrow keys, with F and \
J, or by clicking. There is no right answer. If you cannot decide, take the one you lean towards.
""",
    "debrief_text": """\
Thank you. You compared images that a computer drew with fewer or with more drawing steps. We ask \
whether people can see the difference.
""",
}
