"""Practices that a policy may speak of: words for them in the compared languages, and what of terms declares them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from avowal.policy.bounds import OPERATOR, PROCESSOR, THIRD_PARTY, Bounds

COMPARED_LANGUAGES = ("en", "pt", "zh")
"""The primary languages in which prose is compared; of Chinese only the traditional script."""


@dataclass(frozen=True)
class Practice:
    """A practice: its name, patterns of words for it by language, and the words of terms that declare it.

    Terms declare it if they have any of these words; a practice without words cannot be declared. With
    `mention_optional`, the document need not mention it although the terms declare it.
    """

    name: str
    patterns: Mapping[str, str]
    categories: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    grounds: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()
    cookie_parties: frozenset[str] = frozenset()
    """Who sets the cookies that declare it: `operator`, `third-party`."""
    mention_optional: bool = False

    def find(self, text: str, language: str = "en") -> re.Match[str] | None:
        """Return the first match of its words in a text of a compared language."""
        return re.search(self.patterns[language], text, re.IGNORECASE | re.DOTALL)

    def is_declared(self, bounds: Bounds) -> bool:
        """Return whether terms declare it."""
        return (
            not self.categories.isdisjoint(bounds.collected_categories)
            or any(cell.purpose in self.purposes or cell.ground in self.grounds for cell in bounds.cells)
            or any(
                cell.recipient in (self.cookie_parties if cell.cookie_name else self.recipients)
                for cell in bounds.cells
            )
        )


def _practice(
    name: str, en: str, pt: str, zh: str, *, mention_optional: bool = False, **words: str
) -> Practice:
    """Return a practice; the words of each kind are separated by blanks."""
    sets = {kind: frozenset(text.split()) for kind, text in words.items()}
    patterns = {"en": en, "pt": pt, "zh": zh}
    return Practice(name, patterns, mention_optional=mention_optional, **sets)


PRACTICES = (
    _practice(
        "IP addresses",
        r"\bIP[ -]address|internet protocol|address\w* that .{0,20}(?:came|come)|\b(?:of|the) (?:whole )?address\b",
        r"endere[cç]os? (?:de )?IP|protocolo de internet",
        r"IP|網路位址|網際網路位址",
        categories="ip-address",
    ),
    _practice(
        "the time of visits and views",
        r"\btimes? (?:and|of)\b|\bwhen .{0,40}\b(?:visit|view)|date and time|\btheir time\b",
        r"\bdatas? e (?:a )?horas?\b|\bhor[áa]rios?\b|\bin[ií]cio\b|\bmomento\b|\bquando .{0,40}\bvisit",
        r"時間|時點|時刻|日期",
        categories="visit-time view-time request-time",
    ),
    _practice(
        "the duration of visits and views",
        r"\bduration|\bhow long\b(?! (?:we|it is|they are) ke)",
        r"\bdura(?:ção|m|ram|ções)|\bquanto tempo (?:durou|você)|\btempo (?:na|em cada) página",
        r"停留|多久|期間長短|持續",
        categories="visit-duration view-duration",
    ),
    _practice(
        "the pages that are viewed",
        r"\bpages?\b",
        r"\bpáginas?\b",
        r"頁面|網頁",
        categories="page-path view-time",
    ),
    _practice(
        "what stands behind a page's question mark",
        r"\bquer(?:y|ies)\b|question mark",
        r"\bparâmetros?\b|ponto de interrogação",
        r"查詢字串|問號",
        categories="page-query",
        mention_optional=True,
    ),
    _practice(
        "where visitors come from",
        r"\breferr(?:er|ing|al)|(?:visitor|you) came from|previous page",
        r"página de origem|de onde (?:você )?ve(?:io|m)|\breferrer|página anterior",
        r"來源頁面|來源網|前一頁|前來本網站之前",
        categories="referrer",
    ),
    _practice("browsers", r"\bbrowser", r"\bnavegador", r"瀏覽器", categories="browser"),
    _practice(
        "operating systems",
        r"\boperating systems?",
        r"\bsistemas? operaciona(?:l|is)",
        r"作業系統",
        categories="operating-system",
    ),
    _practice(
        "devices",
        r"\bdevices?\b|computer system|mobile phone",
        r"\bdispositivos?\b|\baparelhos?\b",
        r"裝置",
        categories="device-kind",
    ),
    _practice(
        "locations",
        r"\b(?:geo)?location|\bcountr(?:y|ies)\b|\bcity\b",
        r"\blocalização|\bpaís(?:es)?\b|\bcidade\b",
        r"所在地|國家或地區|地理位置|城市",
        categories="country",
    ),
    _practice(
        "cookies", r"\bcookies?\b", r"\bcookies?\b", r"cookie", cookie_parties=f"{OPERATOR} {THIRD_PARTY}"
    ),
    _practice(
        "protection against floods",
        r"\bflood|\bDDOS\b|denial[ -]of[ -]service",
        r"\bDDoS\b|negação de\s+serviço",
        r"DDoS|流量攻擊|阻斷服務",
        cookie_parties=THIRD_PARTY,
    ),
    _practice(
        "third parties",
        r"\bthird[ -]part(?:y|ies)|service providers?|\bcontractors?\b|\bpartners\b|(?:to|let|works? with) others",
        r"\bterceiros?\b|\bparceiros?\b|\bcontratad[ao]s?\b|\boperadores\b|prestador(?:es)? de serviço",
        r"第三人|第三方|他人|受託者|合作夥伴|廠商",
        recipients="processor authority abuse-community named-person public",
    ),
    _practice(
        "work that others do under a contract",
        r"\bcontract|on (?:our|its) behalf|works? for us",
        r"\bcontrat|em nosso nome",
        r"契約|受託|委託|委外",
        recipients=PROCESSOR,
    ),
    _practice(
        "disclosure that a visitor authorised",
        r"\bauthori[sz]",
        r"\bautoriz",
        r"授權",
        grounds="authorised",
    ),
    _practice(
        "what a function needs that was asked for",
        r"\bfunctions? requested|asked for\b|\byour request\b",
        r"\bvocê pedi(?:u|r)|\bseu pedido|\bsolicit",
        r"您(?:所)?要求|您的要求",
        grounds="requested-function",
    ),
    _practice(
        "fraud and abuse",
        r"\bfraud|\babuse|\bmisuse|\bspam\b",
        r"\bfraude|\babuso|uso indevido|\bspam\b",
        r"詐欺|濫用|垃圾訊息|詐騙",
        purposes="abuse",
    ),
    _practice(
        "what the law requires",
        r"\blaws?\b|\blegal|\bcourt",
        r"\bleis?\b|\blega(?:l|is)\b|\bjudicia(?:l|is)\b",
        r"法律|法令|法院|法定",
        grounds="instrument legal-rights rights-and-safety",
    ),
    _practice(
        "availability",
        r"\bavailab|be reached|\buptime",
        r"\bdisponibilidade|\bno ar\b|\bdisponível",
        r"可用|維持運作|連線正常",
        purposes="availability",
    ),
    _practice(
        "performance",
        r"\bperformance\b|\bfast\b|\bspeed",
        r"\bdesempenho\b|\brápid[ao]|\bvelocidade",
        r"快速|效能|速度",
        purposes="performance",
    ),
    _practice("the content of the site", r"\bcontent\b", r"\bconteúdo", r"內容", purposes="content"),
    _practice(
        "advertising",
        r"\badvertis|\bads\b|\bmarketing|\bretarget|\bpromotional",
        r"\bpublicidade|\banúncios?\b|\bmarketing",
        r"廣告|行銷",
    ),
    _practice(
        "selling information",
        r"\bsells?\b|\bsold\b|\bsale\b|\brent(?:s|ed)?\b",
        r"\bvend(?:a|as|er|emos|idos?)\b|\balug(?:ar|amos)\b",
        r"販售|出售|出租",
    ),
    _practice(
        "profiles of persons",
        r"\bprofil(?:es?|ing)\b|automated decision",
        r"\bperfis\b|\bperfil\b|decis(?:ão|ões) automatizadas?",
        r"個人側寫|個人檔案|剖析|自動化決策",
    ),
    _practice(
        "e-mail and postal addresses",
        r"\be-?mail address|\bpostal address|\bphone number|\bnewsletter",
        r"\bendereços? de e-?mail|\bendereço postal|\btelefone\b|\bboletim informativo|\bnewsletter",
        r"電子郵件地址|通訊地址|電話號碼|電子報",
        categories="email-address postal-address telephone-number",
    ),
    _practice(
        "what people write to the site",
        r"\bcontact form|\bforms? (?:that )?you (?:fill|send|submit)|\bmessages? (?:that )?you"
        r"|\byou (?:write|submit|send us)\b",
        r"\bformulários? (?:de contato|que você)|\bmensage(?:m|ns) que você|\bvocê (?:escreve|envia para nós)\b",
        r"聯絡表單|您填寫|您提交|您的訊息",
        categories="message answer person-name uploaded-file",
    ),
    _practice(
        "what is done on pages",
        r"\bclick(?:s|ed)?\b|\blinks? (?:that )?you (?:follow|open)|\binteract",
        r"\bcliques?\b|\bclica\b|\blinks? que você|\bintera(?:ge|ções)",
        r"點擊|點選|互動",
        categories="download outbound-link upload named-event",
    ),
    _practice(
        "how pages fare in browsers",
        r"\bweb vitals\b|\bscript errors?\b|\berrors (?:of|in) (?:the |its )?scripts"
        r"|\bhow (?:soon|fast) (?:a |the )?pages? (?:show|appear|load)",
        r"\bweb vitals\b|\berros de script|\bquanto tempo a página (?:aparece|carrega)",
        r"指令碼錯誤|載入速度|網頁效能指標",
        categories="web-vitals script-errors not-found",
    ),
    _practice(
        "payments",
        r"\bpayments?\b|\bcredit card|\bbilling",
        r"\bpagamentos?\b|\bcartão de crédito|\bcobrança",
        r"付款|信用卡|帳單",
    ),
)
"""The practices that are looked for."""

NEGATIONS = {
    "en": re.compile(
        r"\b(?:not|never|no|nor|neither|nobody|none|without|cannot|refus(?:e|al)|(?:do|does|did|wo|ca|is|are)n[\u2019']t)\b",
        re.IGNORECASE,
    ),
    "pt": re.compile(r"\b(?:não|nunca|nem|nenhum[a]?|ninguém|sem|jamais|recus(?:ar|e|a))\b", re.IGNORECASE),
    "zh": re.compile(r"不|無|未|非|沒有|勿|拒絕"),
}
"""Words with which a sentence probably says that something is not done."""


@dataclass(frozen=True)
class GroundGroup:
    """Grounds that a policy names together, and patterns of words for them by language in a list of grounds."""

    name: str
    grounds: frozenset[str]
    patterns: Mapping[str, str]


GROUND_GROUPS = (
    GroundGroup(
        "what you authorised",
        frozenset({"authorised"}),
        {"en": r"authori[sz]|consent|permission", "pt": r"autoriz|consent", "zh": r"授權|同意"},
    ),
    GroundGroup(
        "what you asked for",
        frozenset({"requested-function"}),
        {
            "en": r"asked for|requested|your request",
            "pt": r"você pedi|seu pedido|solicit",
            "zh": r"您(?:所)?要求|您的要求",
        },
    ),
    GroundGroup(
        "fraud or misuse",
        frozenset({"checking", "industry-abuse-control"}),
        {
            "en": r"fraud|misuse|abuse|spam",
            "pt": r"fraude|abuso|uso indevido|spam",
            "zh": r"詐欺|濫用|垃圾訊息|詐騙",
        },
    ),
    GroundGroup(
        "law, rights and safety",
        frozenset({"instrument", "legal-rights", "rights-and-safety"}),
        {
            "en": r"\blaws?\b|legal|court|\brights\b|safety",
            "pt": r"\bleis?\b|\blega(?:l|is)\b|judicial|\bdireitos\b|segurança",
            "zh": r"法律|法令|法院|權利|安全",
        },
    ),
)
"""The four grounds of a disclosure."""

DISCLOSURE_WORDS = {
    "en": r"disclos|releas|\bshare|\breceiv|third[ -]part|\bunless\b",
    "pt": r"compartilh|divulg|terceiro|\brecebe|a não ser|\bexceto\b|\bsalvo\b",
    "zh": r"提供|揭露|取得|第三",
}
"""Words of a section about disclosures."""
