"""The standard texts in each language: Markdown, by name. `texts` says when each is read."""

from collections.abc import Mapping
from typing import NamedTuple


class StandardTexts(NamedTuple):
    """The texts of one language; `question` and `instructions` by task."""

    question: Mapping[str, str]
    welcome: str
    consent: str
    instructions: Mapping[str, str]
    debrief: str


ENGLISH = StandardTexts(
    question={
        "preference": "Which image do you prefer?",
        "similarity": "Which image is closer to the one above?",
    },
    welcome="""\
Thank you for your interest. In this study you look at pairs of images and choose one of each
pair. There are {num_trials} comparisons, and it takes about {num_minutes} minutes.

You need no special knowledge. Please sit comfortably, and take part in one go if you can. If you
must leave, the same link brings you back to where you were.
""",
    consent="""\
- Taking part is voluntary. You may stop at any time, without giving a reason, by closing the page.
- We store which image you choose each time, how long it takes, and technical details of the
  display such as the size of the window. We do not ask for your name.
- Your answers are used for research. They may be published in a form that does not identify you.
- If you change your mind, “Withdraw” at the foot of the page erases your answers at once.
""",
    instructions={
        "preference": """\
Two images appear side by side. Choose the one you prefer, by your own taste. There are no right
or wrong answers.
""",
        "similarity": """\
One image appears above two others. Choose, of the lower two, the one that is closer to the image
above. Sometimes the difference is small: then go by your impression.
""",
    },
    debrief="Your answers are stored. Thank you for taking part.",
)
GERMAN = StandardTexts(
    question={
        "preference": "Welches Bild gefällt Ihnen besser?",
        "similarity": "Welches Bild ähnelt dem oberen mehr?",
    },
    welcome="""\
Vielen Dank für Ihr Interesse. In dieser Studie sehen Sie Paare von Bildern und wählen aus jedem
Paar eines aus. Es sind {num_trials} Vergleiche, und es dauert etwa {num_minutes} Minuten.

Sie brauchen keine Vorkenntnisse. Bitte setzen Sie sich bequem hin und nehmen Sie möglichst in
einem Zug teil. Wenn Sie unterbrechen müssen, führt derselbe Link Sie dorthin zurück, wo Sie waren.
""",
    consent="""\
- Die Teilnahme ist freiwillig. Sie können jederzeit und ohne Angabe von Gründen aufhören, indem
  Sie die Seite schließen.
- Wir speichern, welches Bild Sie jeweils wählen, wie lange es dauert, und technische Angaben zur
  Anzeige, etwa die Größe des Fensters. Nach Ihrem Namen fragen wir nicht.
- Ihre Antworten dienen der Forschung. Sie können in einer Form veröffentlicht werden, die keinen
  Rückschluss auf Sie zulässt.
- Wenn Sie es sich anders überlegen, löscht „Teilnahme widerrufen“ am Fuß der Seite Ihre Antworten
  sofort.
""",
    instructions={
        "preference": """\
Zwei Bilder erscheinen nebeneinander. Wählen Sie das, das Ihnen besser gefällt, ganz nach Ihrem
Geschmack. Es gibt keine richtigen oder falschen Antworten.
""",
        "similarity": """\
Ein Bild erscheint über zwei anderen. Wählen Sie von den unteren beiden das, das dem oberen mehr
ähnelt. Manchmal ist der Unterschied klein: Gehen Sie dann nach Ihrem Eindruck.
""",
    },
    debrief="Ihre Antworten sind gespeichert. Vielen Dank für Ihre Teilnahme.",
)
SPANISH = StandardTexts(
    question={
        "preference": "¿Qué imagen prefiere?",
        "similarity": "¿Qué imagen se parece más a la de arriba?",
    },
    welcome="""\
Gracias por su interés. En este estudio verá pares de imágenes y elegirá una de cada par. Son
{num_trials} comparaciones y se tarda unos {num_minutes} minutos.

No necesita conocimientos especiales. Póngase cómodo y, si puede, participe sin interrupciones. Si
tiene que irse, el mismo enlace le devuelve al punto en que estaba.
""",
    consent="""\
- La participación es voluntaria. Puede dejarlo en cualquier momento, sin dar ninguna razón,
  cerrando la página.
- Guardamos qué imagen elige cada vez, cuánto tarda y datos técnicos de la pantalla, como el
  tamaño de la ventana. No le preguntamos su nombre.
- Sus respuestas se usan para la investigación. Pueden publicarse de una forma que no permita
  identificarle.
- Si cambia de opinión, «Retirarme» al pie de la página borra sus respuestas de inmediato.
""",
    instructions={
        "preference": """\
Aparecen dos imágenes, una al lado de la otra. Elija la que prefiera, según su propio gusto. No hay
respuestas correctas ni incorrectas.
""",
        "similarity": """\
Una imagen aparece encima de otras dos. Elija, de las dos de abajo, la que más se parezca a la de
arriba. A veces la diferencia es pequeña: guíese entonces por su impresión.
""",
    },
    debrief="Sus respuestas están guardadas. Gracias por participar.",
)
CHINESE = StandardTexts(
    question={
        "preference": "您更喜欢哪张图片？",
        "similarity": "哪张图片更接近上面的图片？",
    },
    welcome="""\
感谢您的关注。在这项研究中，您会看到成对的图片，并从每一对中选出一张。
共有 {num_trials} 次比较，大约需要 {num_minutes} 分钟。

您不需要任何专业知识。请坐得舒适一些，如果可以，请一次完成。如果中途必须离开，同一链接会带您回到原来的位置。
""",
    consent="""\
- 参加完全自愿。您可以随时关闭页面退出，无需说明理由。
- 我们会保存您每次选择的图片、所用的时间，以及窗口大小等显示方面的技术信息。我们不会询问您的姓名。
- 您的回答将用于研究，可能会以无法识别您身份的形式发表。
- 如果您改变主意，页面底部的“退出研究”会立即删除您的回答。
""",
    instructions={
        "preference": """\
两张图片并排出现。请按照您自己的喜好，选择您更喜欢的一张。答案没有对错之分。
""",
        "similarity": """\
一张图片出现在另外两张图片的上方。请从下面两张中选出更接近上面图片的一张。有时差别很小，凭您的印象选择即可。
""",
    },
    debrief="您的回答已保存。感谢您的参加。",
)
STANDARD_TEXTS: Mapping[str, StandardTexts] = {
    "en": ENGLISH, "de": GERMAN, "es": SPANISH, "zh-hans": CHINESE,
}
